"""Makes fixture/shop.db anew; the rows are the same each time.

Run with the Python of an environment that has Django: python make_fixture.py
"""

import os
from pathlib import Path

import django

DATABASE = Path(__file__).resolve().parent / "fixture" / "shop.db"
DATABASE.unlink(missing_ok=True)
os.environ["DATABASE"] = str(DATABASE)
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
django.setup()

from django.db import connection  # noqa: E402  (Django has to be set up first)

from shop.models import Sale, Thing  # noqa: E402
from shop.urls import KINDS  # noqa: E402

# Two tables need no migrations.
with connection.schema_editor() as editor:
    editor.create_model(Thing)
    editor.create_model(Sale)
Thing.objects.bulk_create(
    Thing(id=number, name=f"thing number {number}", kind=KINDS[number % 5], cents=50 + number % 900)
    for number in range(1, 1001)
)
Sale.objects.bulk_create(
    Sale(thing_id=number * 7 % 1000 + 1, pieces=1 + number % 6) for number in range(4000)
)
