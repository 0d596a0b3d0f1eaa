"""A server that keeps a mebibyte of every request for ever, or ends itself after
some of them, as the first argument says; the second one is the port."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

kept = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if sys.argv[1] == "leak":
            kept.append(os.urandom(1 << 20))
        else:
            kept.append(b"")
        if sys.argv[1] == "end" and len(kept) > 20:
            os.kill(os.getpid(), signal.SIGKILL)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *ignored):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
