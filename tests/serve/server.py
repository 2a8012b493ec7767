"""The server under test."""

import os
import subprocess


class Serving:
    """A server on ports of its own."""

    def __init__(self, program, *options):
        self.process = subprocess.Popen(
            [program, "serve", "--listen", "127.0.0.1:0", "--wyoming", "127.0.0.1:0", *os.environ.get("SERVE_OPTIONS", "").split(), *options],
            stderr=subprocess.PIPE, text=True,
        )
        line = self.process.stderr.readline()
        print("  " + line.strip())
        self.url = line.split("at ")[1].split(",")[0]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.wyoming = int(line.split("Wyoming at ")[1].split(";")[0].rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        status = self.process.wait(5)
        said = self.process.stderr.read()
        assert status == 0 and not said, (status, said)
