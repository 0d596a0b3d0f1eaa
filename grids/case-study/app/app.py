"""Four heavy endpoints, as in the case study: each computes, waits, and keeps a little memory.

SHORTEN  divides the work and the waits of every request (1): with 10, an answer of a second
         takes a tenth of one. What a request keeps in memory stays.
"""

import hashlib
import os
import time

from flask import Flask, abort

SHORTEN = float(os.environ.get("SHORTEN", "1"))
# About a millisecond of one core of 2024; the same amount of work on every machine.
ROUNDS_PER_MS = 2500
KEPT_BYTES = 4096
# Milliseconds by endpoint: what it computes first, how long it waits then, what it computes last.
WORK = {1: (20, 80, 10), 2: (36, 165, 14), 3: (17, 50, 7), 4: (23, 115, 10)}

app = Flask(__name__)

# Never emptied: what the month of hand work began with.
kept = []


def compute(milliseconds):
    """Work that holds the interpreter; no thread beside it runs Python."""
    digest = b"case study"
    for _ in range(round(milliseconds * ROUNDS_PER_MS / SHORTEN)):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()


def wait(milliseconds):
    """An upstream or a disk; a sleep stands for it."""
    time.sleep(milliseconds / 1000 / SHORTEN)


def keep(text):
    """Grows with each request, whatever was asked."""
    kept.append(text.encode() * (KEPT_BYTES // len(text)))
    return len(kept)


@app.get("/api/<int:number>")
def api(number):
    if number not in WORK:
        abort(404)
    first, pause, last = WORK[number]
    digest = compute(first)
    wait(pause)
    return {"digest": digest + compute(last), "kept": keep(digest)}
