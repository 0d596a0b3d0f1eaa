"""Writes fixture/notes.db: 400 notes by 12 authors, the same bytes on every run.

Run it in this folder: python3 make_fixture.py
"""

import random
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

AUTHORS = ("Ada", "Bo", "Chidi", "Dana", "Elif", "Finn", "Goro", "Hana", "Ivo", "Jun", "Kira", "Lea")
WORDS = (
    "worker thread request answer queue memory cache index page table row lock socket timer"
    " deploy restart signal slow fast steady busy idle short long first last morning night"
).split()
SCHEMA = """
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE note (
    id INTEGER PRIMARY KEY,
    author_id INTEGER NOT NULL REFERENCES author (id),
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    written TEXT NOT NULL
) STRICT;
"""

path = Path(__file__).parent / "fixture" / "notes.db"
path.parent.mkdir(exist_ok=True)
path.unlink(missing_ok=True)
dice = random.Random(20)
start = datetime(2024, 1, 1, 8)

database = sqlite3.connect(path)
database.executescript(SCHEMA)
database.executemany("INSERT INTO author VALUES (?, ?)", enumerate(AUTHORS, start=1))
database.executemany(
    "INSERT INTO note VALUES (?, ?, ?, ?, ?)",
    (
        (
            number,
            dice.randint(1, len(AUTHORS)),
            " ".join(dice.choices(WORDS, k=4)).capitalize(),
            " ".join(dice.choices(WORDS, k=dice.randint(20, 50))).capitalize() + ".",
            (start + timedelta(hours=number)).isoformat(sep=" ", timespec="minutes"),
        )
        for number in range(1, 401)
    ),
)
database.commit()
database.execute("VACUUM")
database.close()
