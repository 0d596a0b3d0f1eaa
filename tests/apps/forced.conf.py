"""The app's own settings: it wants three workers, whoever asks for what."""

import os


def when_ready(server):
    server.num_workers = 3


def post_fork(server, worker):
    with open(os.environ["FORKED"], "a") as file:
        file.write("x")
