"""A WSGI app that wants a login: a form with a CSRF token, a session cookie, and
pages of the person who is logged in. Fork-safe: sessions are signed, not kept."""

import hashlib
import hmac
import json
import os
import secrets
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, unquote

KEY = b"a key of this test"
PEOPLE = {"ann": "p+ss w&rd", "bob": "gr\u00fcn%=1"}
FORM = '<form method="post"><input name="csrf_token" value="{}">{}</form>'


def sign(text):
    return text + "." + hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def signed(text):
    name, _, _ = text.rpartition(".")
    return name if name and hmac.compare_digest(sign(name), text) else None


def log_in(environ, cookies):
    """The user's name, or None with the reason printed, tokens and all."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    form = parse_qs(environ["wsgi.input"].read(length).decode())
    first = lambda name: form.get(name, [""])[0]  # noqa: E731
    started = signed(cookies.get("start", ""))
    if not started or first("csrf_token") != sign("csrf-" + started):
        print("bad token", first("csrf_token"), "of", cookies.get("start"), flush=True)
        return None
    if PEOPLE.get(first("user")) != first("password"):
        print("bad password", first("password"), "with", first("csrf_token"), flush=True)
        return None
    return first("user")


def app(environ, start_response):
    cookies = {name: item.value for name, item in SimpleCookie(environ.get("HTTP_COOKIE", "")).items()}
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    user = signed(cookies.get("session", ""))

    def answer(status, body, *headers):
        body = body.encode()
        start_response(status, [("Content-Length", str(len(body))), *headers])
        return [body]

    def form(message):
        started = secrets.token_hex(8)
        page = FORM.format(sign("csrf-" + started), message)
        return answer("200 OK", page, ("Set-Cookie", f"start={sign(started)}; Path=/; HttpOnly"))

    if path == "/login" and method == "GET":
        return form("")
    if path == "/login":
        name = log_in(environ, cookies)
        if name is None:
            return form("the password is wrong")
        if log := os.environ.get("LOGINS"):
            with open(log, "a") as file:
                file.write(name + "\n")
        gone = ("Set-Cookie", "start=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/")
        return answer("302 Found", "", gone, ("Location", "/"), ("Set-Cookie", f"session={sign(name)}"))
    if user is None:
        return answer("302 Found", "", ("Location", "/login?next=" + path))
    if "start" in cookies:
        return answer("400 Bad Request", "a cookie that was removed")
    if path == "/api/me":
        if unquote(environ.get("QUERY_STRING", "")) not in ("", user):
            return answer("400 Bad Request", "that is somebody else")
        return answer("200 OK", json.dumps({"status": "ok", "user": user}))
    if path.startswith("/items/"):
        item = path.removeprefix("/items/").encode("latin-1").decode()
        return answer("200 OK", f"item {item} of {user}")
    return answer("200 OK", "hello " + user)
