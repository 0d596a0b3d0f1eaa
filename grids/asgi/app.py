"""A small ASGI app without a framework, for the grids of ASGI servers.

WAIT_MS  how long `/wait` waits for something slow (60)
WORK     a factor on the Python work of every endpoint (1.0)

`/stock` computes on the event loop, as an async view that parses much JSON does: while it
runs, its worker does nothing else. `/wait` lets the loop go.
"""

import asyncio
import json
import os

WAIT_SECONDS = float(os.environ.get("WAIT_MS", "60")) / 1000
WORK = float(os.environ.get("WORK", "1.0"))

STOCK = [json.dumps({"shelf": number % 24, "pieces": number * 7 % 90}) for number in range(600)]


def pieces_by_shelf():
    """Reads the stock once for each unit of work, and adds it up."""
    shelves = [0] * 24
    for _ in range(max(1, round(4 * WORK))):
        for line in STOCK:
            item = json.loads(line)
            shelves[item["shelf"]] += item["pieces"]
    return shelves


async def stock():
    return 200, {"shelves": pieces_by_shelf()}


async def wait():
    await asyncio.sleep(WAIT_SECONDS)
    return 200, {"upstream": "ok"}


ROUTES = {"/stock": stock, "/wait": wait}


async def missing():
    return 404, {"error": "no such page"}


async def lifespan(receive, send):
    """Tells the server when the app has started and when it has stopped."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    status, answer = await ROUTES.get(scope["path"], missing)()
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
