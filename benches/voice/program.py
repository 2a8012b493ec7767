"""The program under measurement, called as anyone would call it."""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import corpus


class Program:
    """`binary` with a checkpoint; its speakers' condition files lie in `folder`."""

    def __init__(self, binary, model, folder):
        self.binary, self.model, self.folder = str(binary), ["-m", str(model)], Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run("condition", "export", *self.model, "--all", "-o", self.folder)

    def run(self, *arguments):
        done = subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def speaker(self, name):
        return self.folder / f"{name}.bin"

    def track(self, recording, output, like=None, speaker_recordings=()):
        """What `recording` says, without its speaker: known by name or by other recordings."""
        output.parent.mkdir(parents=True, exist_ok=True)
        whose = ["--like", like] if like else ["--speaker-recordings", *speaker_recordings]
        self.run("condition", "track", recording, *self.model, *whose, "-o", output)
        return output

    def mix(self, output, **weights):
        output.parent.mkdir(parents=True, exist_ok=True)
        self.run("condition", "mix", *(f"{self.speaker(name)}={w}" for name, w in weights.items()), "-o", output)
        return output

    def render(self, jobs, *options):
        """[(condition, track, output)] or, where the seed is not 0, [(condition, track, output, seed)]; with `options` and
        those of the variable SAMPLING."""
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
            for condition, track, output, *seed in jobs:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.unlink(missing_ok=True)
                table.write(f"{condition}\t{track}\t{seed[0] if seed else 0}\t{output}\n")
            table.flush()
            self.run("render", *self.model, *options, *os.environ.get("SAMPLING", "").split(), "--jobs", table.name)

    def nats(self, condition, recordings, tracks):
        """Nats per sample of recordings, said by a speaker over each one's track."""

        def one(pair):
            recording, track = pair
            return json.loads(self.run("eval", *self.model, "-c", condition, "-t", track, recording, "--json"))

        with ThreadPoolExecutor(corpus.CORES) as pool:
            rows = [row for report in pool.map(one, zip(recordings, tracks)) for row in report["inputs"]]
        return sum(r["nats_per_symbol"] * r["symbols"] for r in rows) / sum(r["symbols"] for r in rows)


def asked(usage):
    """What a script about a voice is called with: its corpus, the program, the folder of copies, the file to write."""
    if len(sys.argv) != 6:
        raise SystemExit(usage)
    root, binary, model, copies, out = map(Path, sys.argv[1:])
    return root, Program(binary, model, copies / "speakers"), copies, out
