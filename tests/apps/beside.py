"""A service that answers every request with 200, and writes into the file NOTES what becomes of it.

beside.py NAME PORT [fails]

With REACH, an address, it holds a socket that is connected there; nothing is sent.
"""

import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

name, port = sys.argv[1], int(sys.argv[2])
if sys.argv[3:] == ["fails"]:
    print("no room for", os.environ.get("TOKEN"), flush=True)
    sys.exit(3)


if os.environ.get("REACH"):
    reached = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reached.connect((os.environ["REACH"], 9))


def note(text):
    with open(os.environ["NOTES"], "a") as file:
        print(name, text, file=file, flush=True)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def end(number, _):
    note("ended by " + signal.Signals(number).name)
    sys.exit(0)


server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
server.daemon_threads = True
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
note(f"started with {os.environ.get('TOLD', 'nothing')} as {os.getuid()} in {os.environ['HOME']} on {cpus}")
server.serve_forever()
