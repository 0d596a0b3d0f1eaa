"""Three pages: a list, sums, and one that writes."""

import json
import random

from django.db.models import Count, Sum
from django.http import JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from shop.models import Sale, Thing

KINDS = ("bread", "fruit", "tea", "soap", "rope")


@require_GET
def things(request):
    """A page of a list: the ORM through a template."""
    first = random.randrange(1, 900)
    page = Thing.objects.filter(id__gte=first).order_by("id")[:40]
    return render(request, "things.html", {"things": page})


@require_GET
def sums(request):
    """What was sold of each kind: the database does the work."""
    kinds = Thing.objects.values("kind").annotate(sold=Sum("sales__pieces"), sales=Count("sales"))
    return JsonResponse({"kinds": list(kinds.order_by("kind"))})


@require_POST
def sell(request):
    """Writes one row: SQLite lets one process write at a time."""
    pieces = int(json.loads(request.body)["pieces"])
    sale = Sale.objects.create(thing_id=random.randrange(1, 1001), pieces=pieces)
    return JsonResponse({"sale": sale.id}, status=201)


urlpatterns = [path("things/", things), path("sums/", sums), path("sell/", sell)]
