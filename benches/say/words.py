"""words.py PROGRAM OUT.json [SPEAKER]: how many words a recogniser gets wrong of the Harvard sentences (IEEE 1969, lists 1 to 3), said
by `PROGRAM say` with some seeds and by the other synthesisers that are installed: espeak-ng, flite.

Wants pocketsphinx, numpy and scipy, as benches/voice/requirements.txt names them.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

sys.path.insert(0, str(Path(__file__).parents[1] / "voice"))
import recogniser  # noqa: E402

SEEDS = 3
OTHERS = {"espeak-ng": ["espeak-ng", "-v", "en-us", "-w"], "flite": ["flite", "-voice", "slt", "-o"]}


def read(path):
    """A WAV file at the recogniser's rate, a third of a second of silence around it."""
    rate, x = wavfile.read(path)
    x = x.astype(float) / 32768
    if rate != recogniser.RATE:
        x = resample_poly(x, recogniser.RATE, rate)
    return np.pad(x, recogniser.RATE // 3)


def main():
    program, out, *speaker = sys.argv[1:]
    speaker = speaker[0] if speaker else "en_allison"
    sentences = Path(__file__).with_name("harvard.txt").read_text().splitlines()
    systems = {f"say, seed {seed}": [program, "say", "--condition", speaker, "--seed", str(seed), "--force", "-o"]
               for seed in range(1, SEEDS + 1)}
    systems |= {name: command for name, command in OTHERS.items() if shutil.which(name)}
    report = {"sentences": len(sentences), "words": sum(len(recogniser.words(s)) for s in sentences), "wrong": {}, "heard": {}}
    with tempfile.TemporaryDirectory() as folder:
        wav = f"{folder}/said.wav"
        for name, command in systems.items():
            wrong, heard = 0, []
            for sentence in sentences:
                argv = command + [wav] + (["-t"] if command[0] == "flite" else []) + [sentence]
                subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
                found = recogniser.recognised(read(wav))
                wrong += recogniser.edits(recogniser.words(sentence), found)
                heard.append(" ".join(found))
            report["wrong"][name], report["heard"][name] = wrong, heard
            print(f"{name}: {wrong} of {report['words']} words wrong", flush=True)
    Path(out).write_text(json.dumps(report, indent=1))


main()
