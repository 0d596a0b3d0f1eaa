"""A small app for tests, without any framework. What it does at start and on a
request is chosen by the environment, so that one file serves all tests."""

import os
import signal
import socket
import time

if os.environ.get("BREAK"):
    import there_is_no_such_module  # noqa: F401

if os.environ.get("REACH"):
    # Connecting a datagram socket sends nothing.
    reached = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reached.connect((os.environ["REACH"], 9))

print("token is", os.environ.get("TOKEN"), flush=True)
requests = 0


def app(environ, start_response):
    global requests
    requests += 1
    path = environ["PATH_INFO"]
    if path == "/login-only":
        start_response("302 Found", [("Location", "/accounts/login?next=/"), ("Content-Length", "0")])
        return [b""]
    if path == "/kill-master" and requests > 20:
        os.kill(os.getppid(), signal.SIGKILL)
    if path == "/slow":
        time.sleep(0.1)
    if path == "/reach":
        # A connection that lasts no longer than the answer.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reaching:
            reaching.connect(("198.51.100.1", 9))
            time.sleep(0.1)
    if path == "/spoil":
        with open(os.environ["DATA"], "a") as data:
            data.write("x")
    if path == "/data":
        with open(os.environ["DATA"]) as data:
            body = data.read().encode()
    elif path == "/missing":
        start_response("404 Not Found", [("Content-Length", "7")])
        return [b"nowhere"]
    else:
        body = b"hello"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
