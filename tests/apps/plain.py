"""A plain WSGI app: one good path, one behind a login, the rest not there."""

import os

if os.environ.get("BREAK"):
    import there_is_no_such_module  # noqa: F401


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/account":
        start_response("302 Found", [("Location", "/login?next=/account"), ("Content-Length", "0")])
        return [b""]
    if path == "/hello":
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]
    start_response("404 Not Found", [("Content-Length", "7")])
    return [b"nowhere"]
