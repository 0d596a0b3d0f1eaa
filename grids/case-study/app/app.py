"""Four heavy endpoints, as in the case study: each computes, waits, and keeps a little memory.

SHORTEN  divides the work and the waits of every request (1): with 10, an answer of a second
         takes a tenth of one. What a request keeps in memory stays.
"""

import hashlib
import os
import time

from flask import Flask

SHORTEN = float(os.environ.get("SHORTEN", "1"))
# About a millisecond of one core of 2024; the same amount of work on every machine.
ROUNDS_PER_MS = 2500
KEPT_BYTES = 4096

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


@app.get("/api/1")
def api_1():
    digest = compute(20)
    wait(80)
    return {"digest": digest + compute(10), "kept": keep(digest)}


@app.get("/api/2")
def api_2():
    digest = compute(36)
    wait(165)
    return {"digest": digest + compute(14), "kept": keep(digest)}


@app.get("/api/3")
def api_3():
    digest = compute(17)
    wait(50)
    return {"digest": digest + compute(7), "kept": keep(digest)}


@app.get("/api/4")
def api_4():
    digest = compute(23)
    wait(115)
    return {"digest": digest + compute(10), "kept": keep(digest)}
