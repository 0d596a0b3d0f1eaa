"""A plain WSGI app: one good path, one behind a login, the rest not there.

With REACH, an address, it holds a socket that is connected there; nothing is sent.
"""

import os
import socket

if os.environ.get("BREAK"):
    import there_is_no_such_module  # noqa: F401

if os.environ.get("REACH"):
    reached = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reached.connect((os.environ["REACH"], 9))


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/account":
        start_response("302 Found", [("Location", "/login?next=/account"), ("Content-Length", "0")])
        return [b""]
    if path == "/hello":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"hello"]
    start_response("404 Not Found", [("Content-Length", "7")])
    return [b"nowhere"]
