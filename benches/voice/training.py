"""training.py CORPUS PROGRAM MODEL COPIES OUT.json: all weights trained on ten minutes of a speaker that the voice never heard.

The run file is that of docs/train-your-own.md, begun from MODEL. The held-out recordings are then copied, as enrolling.py does it with
an enrolled speaker, beside WORLD. DEVICE=cpu-bf16 trains with products in bfloat16.
"""

import json
import os
import re
import shutil
import time
from pathlib import Path

import corpus
import encoder
import peers
from corpus import SPEAKERS, UNSEEN
from enrolling import LONGEST, SHORTEST, figures
from program import asked

SECONDS = 600
PAGE = Path(__file__).parents[2] / "docs" / "train-your-own.md"


def run_file(root, speaker, model, out):
    text = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf8"), re.S)[1]
    for key, value in (("root", root), ("start_from", model), ("out", out)):
        text, count = re.subn(rf'^{key} = ".*"$', f'{key} = "{value}"', text, flags=re.M)
        assert count == 1, key
    return text.replace('speakers = ["jan"]', f'speakers = ["{speaker}"]')


def main():
    root, program, copies, out = asked(__doc__)
    copies = (copies / "training").resolve()
    references = {s: encoder.reference(root, s) for s in SPEAKERS + UNSEEN}
    table = []
    for speaker in UNSEEN:
        recordings, total = encoder.enough(root, speaker, SECONDS)
        folder, run = copies / "recordings" / speaker, copies / "runs" / speaker
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)
        folder.mkdir(parents=True)
        for recording in recordings:
            shutil.copy(recording, folder)
        file = copies / f"{speaker}.toml"
        file.write_text(run_file(folder.parent, speaker, Path(program.model[1]).resolve(), run), encoding="utf8")
        start = time.perf_counter()
        program.run("train", file, "--device", os.environ.get("DEVICE", "cpu"))
        wall = time.perf_counter() - start
        model = run / "voice.safetensors"
        program.run("condition", "export", "-m", model, "--all", "-o", run / "speakers")
        held_out = [root / speaker / f"{u}.wav" for u, s, _ in corpus.rows(root, speaker, "test") if SHORTEST <= s <= LONGEST]
        program.run("copy", "-m", model, "-c", run / "speakers" / f"{speaker}.bin", *held_out, "-o", copies / speaker, "--json")
        world = copies / f"{speaker}-world"
        corpus.each(peers.one, [(p, world / p.name, "world") for p in held_out])
        row = {"speaker": speaker, "seconds": total, "recordings": len(held_out), "wall_s": wall,
               "trained": figures(root, speaker, [copies / speaker / p.name for p in held_out], references),
               "world": figures(root, speaker, [world / p.name for p in held_out], references)}
        print(json.dumps(row), flush=True)
        table.append(row)
    corpus.save(out, table)


if __name__ == "__main__":
    main()
