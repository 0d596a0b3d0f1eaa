"""A small app to sweep: it reads, computes, waits and leaks, one endpoint for each.

QUICKSTART_WAIT_MS  how long `/slow` waits for its upstream (80)
QUICKSTART_CPU      a factor on the Python work of every endpoint (1.0)
DATABASE            the SQLite file that `/notes` reads
"""

import json
import os
import random
import sqlite3
import time

from flask import Flask, g, render_template

WAIT_SECONDS = float(os.environ.get("QUICKSTART_WAIT_MS", "80")) / 1000
CPU_FACTOR = float(os.environ.get("QUICKSTART_CPU", "1.0"))
DATABASE = os.environ.get("DATABASE", "fixture/notes.db")

NOTES_PER_PAGE = 20
COUNTRIES = ("AT", "BR", "CA", "DE", "FI", "IN", "JP", "KE")

app = Flask(__name__)


def order_batch(number):
    """One batch of orders as JSON text, the same on every start."""
    orders = [
        {
            "id": number * 100 + line,
            "country": COUNTRIES[(number + line) % len(COUNTRIES)],
            "quantity": 1 + (number * line) % 7,
            "price_cents": 199 + 37 * ((number + 3 * line) % 50),
        }
        for line in range(12)
    ]
    return json.dumps(orders)


BATCHES = [order_batch(number) for number in range(32)]


def totals_by_country(batches):
    """Decodes this many batches of orders and adds them up; scaled by QUICKSTART_CPU."""
    totals = dict.fromkeys(COUNTRIES, 0)
    for number in range(round(batches * CPU_FACTOR)):
        for order in json.loads(BATCHES[number % len(BATCHES)]):
            totals[order["country"]] += order["quantity"] * order["price_cents"]
    return totals


def database():
    """The request's own connection, closed when the request ends."""
    if "database" not in g:
        g.database = sqlite3.connect(DATABASE)
        g.database.row_factory = sqlite3.Row
    return g.database


@app.teardown_appcontext
def close_database(_error):
    connection = g.pop("database", None)
    if connection is not None:
        connection.close()


@app.get("/notes")
def notes():
    """A page of notes: SQLite through a template."""
    (newest,) = database().execute("SELECT max(id) FROM note").fetchone()
    before = random.randint(NOTES_PER_PAGE + 1, newest + 1)
    rows = database().execute(
        "SELECT note.id, title, body, written, author.name AS author"
        " FROM note JOIN author ON author.id = note.author_id"
        " WHERE note.id < ? ORDER BY note.id DESC LIMIT ?",
        (before, NOTES_PER_PAGE),
    ).fetchall()
    return render_template("notes.html", notes=rows, sales=totals_by_country(120))


@app.get("/report")
def report():
    """JSON in, sums, JSON out: nothing but CPU."""
    totals = totals_by_country(140)
    return {"total": sum(totals.values()), "by_country": totals}


@app.get("/slow")
def slow():
    """Waits for an upstream (a sleep stands for it), then works on the answer."""
    time.sleep(WAIT_SECONDS)
    return {"upstream": "ok", "by_country": totals_by_country(140)}


audit_trail = []


@app.get("/leaky")
def leaky():
    """Never forgets a request: about 8 KiB each stay in a list of the module."""
    totals = totals_by_country(140)
    lines = [{"number": number, "seen": time.time(), "totals": totals} for number in range(48)]
    audit_trail.append(json.dumps(lines))
    return {"kept": len(audit_trail)}
