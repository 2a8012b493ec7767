"""What the checks share: a line a comparison, a folder to run the program in, and checkpoints of random tensors."""

import os
import subprocess
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True
from checkpoint import Checkpoint, expected_shapes

failed = 0


def report(name, value, limit, note=""):
    global failed
    good = value <= limit
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}: {value:.3g}, limit {limit:g}{', ' + note if note else ''}", flush=True)


class Session:
    """Runs the program in a folder of its own."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *args):
        """What the program writes to stdout, as bytes."""
        done = subprocess.run([self.program, *map(str, args)], cwd=self.folder, capture_output=True)
        if done.returncode:
            sys.exit(f"{' '.join(done.args)}: {done.stderr.decode().strip()}")
        return done.stdout

    def array(self, name, value=None):
        if value is None:
            return np.load(self.path(name))
        np.save(self.path(name), value)


def random_tensors(rng, head, gain=1.0):
    tensors = {}
    for name, shape in expected_shapes(head).items():
        scale = gain / np.sqrt(shape[-2] if len(shape) > 1 else 10)
        tensors[name] = (scale * rng.normal(size=shape)).astype(np.float32)
    return Checkpoint(head, tensors)


def run(checks):
    """Calls checks(session, arguments) with the program named first, and exits with what failed."""
    program, *arguments = map(os.path.abspath, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        checks(Session(program, folder), *arguments)
    print(f"{failed} failed" if failed else "all agree")
    sys.exit(failed > 0)
