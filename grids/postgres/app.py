"""Notes on PostgreSQL: a list that everybody sees, an API, and pages behind a login.

Where the database is comes from libpq's own variables (PGHOST, PGPORT, PGUSER, PGPASSWORD,
PGDATABASE). RUN names the trial, so that rows which an earlier trial left can be told.

The login is a form at /login with the fields `username`, `password` and the hidden `csrf_token`,
which belongs to the cookie `session` that comes with the form. It answers 303 to /notes, a page
with a form of its own: the fields `text` and `csrf_token`. The user is `reader`, `open sesame`.
"""

import hmac
import os
import secrets
import threading
from functools import wraps

import psycopg
from flask import Flask, abort, jsonify, redirect, render_template_string, request, session
from psycopg.rows import dict_row
from werkzeug.security import check_password_hash

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]

RUN = os.environ.get("RUN", "by hand")
kept = threading.local()

LATEST = """
    SELECT note.id, note.text, person.name, count(mark.note_id) AS marks
    FROM note JOIN person ON person.id = note.person_id
    LEFT JOIN mark ON mark.note_id = note.id
    GROUP BY note.id, person.name ORDER BY note.id DESC LIMIT %s
"""
WRITE = "INSERT INTO note (person_id, text, run) VALUES (%s, %s, %s) RETURNING id"
# The seed has no run.
RESTORED = """
    SELECT count(*) FILTER (WHERE run IS NULL) AS seeded,
           count(*) FILTER (WHERE run <> %s) AS left_over
    FROM note
"""
PAGE = """<!doctype html><title>Notes</title><h1>Notes</h1>
<ul>{% for note in notes %}<li>{{ note.name }}: {{ note.text }} ({{ note.marks }})</li>{% endfor %}</ul>
{% if token %}<form method="post" action="/notes"><input name="text">
<input type="hidden" name="csrf_token" value="{{ token }}"><button>Write</button></form>{% endif %}"""
LOGIN = """<!doctype html><title>Login</title><form method="post" action="/login">
<input name="username"><input name="password" type="password">
<input type="hidden" name="csrf_token" value="{{ token }}"><button>Log in</button></form>"""


def rows(query, *values):
    """One connection for each thread, made when it is first needed."""
    if getattr(kept, "connection", None) is None or kept.connection.closed:
        kept.connection = psycopg.connect("", autocommit=True, row_factory=dict_row)
    return kept.connection.execute(query, values).fetchall()


def csrf_token():
    return session.setdefault("csrf_token", secrets.token_urlsafe(16))


def checks_token(view):
    @wraps(view)
    def checked(*args, **kwargs):
        if request.method == "POST":
            sent, known = request.form.get("csrf_token", ""), session.get("csrf_token", "")
            if not known or not hmac.compare_digest(sent, known):
                abort(400, "the form's token is not that of the session")
        return view(*args, **kwargs)

    return checked


@app.get("/")
def index():
    return render_template_string(PAGE, notes=rows(LATEST, 20), token=None)


@app.get("/api/notes")
def api_notes():
    return jsonify(rows(LATEST, min(request.args.get("limit", 20, int), 200)))


@app.post("/api/notes")
def api_write():
    text = request.get_json()["text"]
    return jsonify(rows(WRITE, 1, text, RUN)[0]), 201


@app.get("/api/restored")
def api_restored():
    """The same at every moment of every trial, as long as the data were restored for it."""
    found = rows(RESTORED, RUN)[0]
    return f"seeded {found['seeded']}, left over {found['left_over']}\n"


@app.route("/login", methods=["GET", "POST"])
@checks_token
def login():
    if request.method == "GET":
        return render_template_string(LOGIN, token=csrf_token())
    found = rows("SELECT id, password FROM person WHERE name = %s", request.form["username"])
    if not found or not check_password_hash(found[0]["password"], request.form["password"]):
        abort(403, "no such user, or another password")
    session.clear()
    session["person"] = found[0]["id"]
    return redirect("/notes", 303)


@app.route("/notes", methods=["GET", "POST"])
@checks_token
def notes():
    if "person" not in session:
        return redirect("/login", 302)
    if request.method == "POST":
        rows(WRITE, session["person"], request.form["text"], RUN)
        return redirect("/notes", 303)
    return render_template_string(PAGE, notes=rows(LATEST, 50), token=csrf_token())
