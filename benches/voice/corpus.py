"""The recordings that all measurements share, and how files are read, written and worked on side by side."""

import csv
import json
import multiprocessing
import os
import wave
from pathlib import Path

import numpy as np

RATE = 16_000

CORES = len(os.sched_getaffinity(0))

SPEAKERS = ("en_allison", "es_allison", "fr_june", "it_carlo", "ru_ivrvoice", "ru_nsh")

# Of the corpus, too, but no voice of it: for tests only.
UNSEEN = ("cs_small", "cs_big")

# Who speaks: Allison Smith recorded the English and the Spanish prompts.
PERSON = {"en_allison": "Allison Smith", "es_allison": "Allison Smith"}


def rows(corpus, speaker, split, column="text"):
    """[(utterance, seconds, text)] of a split, `test` (held out) or `train`, in the order of the file; or another column than the text."""
    with open(Path(corpus) / speaker / "transcripts.tsv", encoding="utf8") as f:
        table = csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(r["utt"], float(r["seconds"]), r[column]) for r in table if r["split"] == split]


def held_out(corpus, speaker, low, high, most, column="text"):
    """The first held-out rows of a length in seconds between the limits, `most` at most."""
    return [r for r in rows(corpus, speaker, "test", column) if low <= r[1] <= high][:most]


def read(path):
    """Samples of a 16-bit mono file at 16 kHz, -1 to 1."""
    with wave.open(str(path)) as w:
        if (w.getframerate(), w.getnchannels(), w.getsampwidth()) != (RATE, 1, 2):
            raise SystemExit(f"{path}: wanted 16-bit mono at {RATE} Hz")
        return np.frombuffer(w.readframes(w.getnframes()), "<i2").astype(np.float64) / 32768


def write(path, x):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(np.round(32767 * np.clip(x, -1, 1)).astype("<i2").tobytes())


def rounded(value):
    """Floats of a tree of results to five decimals."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return round(value, 5) if isinstance(value, float) else value


def save(path, results):
    Path(path).write_text(json.dumps(rounded(results), ensure_ascii=False) + "\n", encoding="utf8")


def each(work, jobs):
    """[work(job)], on all cores, in order."""
    with multiprocessing.Pool(CORES) as pool:
        return pool.map(work, jobs, chunksize=1)
