"""A small HTTP/1.1 server that keeps connections and notes every request.

Each request is a line of the file named by COUNTS, written before its answer: the
number of the connection, and the path.
"""

import itertools
import os
import socketserver
import sys
import threading

NUMBERS = itertools.count()
LOCK = threading.Lock()


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        number = next(NUMBERS)
        while line := self.rfile.readline():
            path = line.split()[1].decode()
            while self.rfile.readline().strip():
                pass
            with LOCK, open(os.environ["COUNTS"], "a") as counts:
                counts.write(f"{number} {path}\n")
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
