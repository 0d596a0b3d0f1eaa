"""A server of Python's standard library that waits before each answer.

At its tenth request it writes its port into a new file in the folder LOADED:
fewer come before the load. With FAIL_AFTER, a file, it serves only the first
time: later launches print TOKEN and end. Where the file DOWN is, it never starts.
"""

import argparse
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--delay-ms", type=float, required=True)
given = parser.parse_args()

print("token is", os.environ.get("TOKEN"), flush=True)
served_before = os.environ.get("FAIL_AFTER")
if served_before is not None:
    if os.path.exists(served_before):
        sys.exit("this server wants to be started only once")
    open(served_before, "w").close()

if os.path.exists(os.environ.get("DOWN", "/nowhere/at/all")):
    sys.exit("the database is down")

requests = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One segment an answer: else the kernel waits 40 ms for an acknowledgement.
    wbufsize = 65536

    def do_GET(self):
        global requests
        requests += 1
        if requests == 10 and "LOADED" in os.environ:
            name = os.path.join(os.environ["LOADED"], str(time.time_ns()))
            with open(name + ".part", "w") as file:
                file.write(str(given.port))
            os.rename(name + ".part", name)
        time.sleep(given.delay_ms / 1000)
        body = b"hello"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        """Good is only the form a=1 from whoever knows TOKEN."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print("asked with", self.headers["Authorization"], flush=True)
        known = self.headers["Authorization"] == os.environ.get("TOKEN")
        self.send_response(201 if known and body == b"a=1" else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer((given.host, given.port), Handler)
server.daemon_threads = True
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve_forever()
