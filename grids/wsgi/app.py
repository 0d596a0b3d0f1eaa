"""A small Flask app for the grids of WSGI servers: it computes and it waits.

WAIT_MS  how long `/wait` waits for something slow (60)
WORK     a factor on the Python work of every endpoint (1.0)
"""

import json
import os
import time

from flask import Flask

WAIT_SECONDS = float(os.environ.get("WAIT_MS", "60")) / 1000
WORK = float(os.environ.get("WORK", "1.0"))

app = Flask(__name__)

STOCK = [json.dumps({"shelf": number % 24, "pieces": number * 7 % 90}) for number in range(600)]


def pieces_by_shelf():
    """Reads the stock once for each unit of work, and adds it up."""
    shelves = [0] * 24
    for _ in range(max(1, round(4 * WORK))):
        for line in STOCK:
            item = json.loads(line)
            shelves[item["shelf"]] += item["pieces"]
    return shelves


@app.get("/stock")
def stock():
    """Nothing but CPU: no thread helps, another process does."""
    return {"shelves": pieces_by_shelf()}


@app.get("/wait")
def wait():
    """Waits for an upstream (a sleep stands for it): the CPU is free meanwhile."""
    time.sleep(WAIT_SECONDS)
    return {"upstream": "ok"}
