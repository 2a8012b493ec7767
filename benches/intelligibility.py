"""intelligibility.py CORPUS COPIES: STOI and wide-band PESQ of copies against their originals, speaker by speaker, and
for the English speaker the word error rate of a small recogniser on originals and copies.

    pip install numpy pystoi pesq pocketsphinx && python3 intelligibility.py data/speech benches/runs/RUN/copies
"""
import csv
import re
import sys
import wave
from pathlib import Path

import numpy as np
from pesq import PesqError, pesq
from pocketsphinx import Decoder
from pystoi import stoi

RATE = 16000


def read(path):
    with wave.open(str(path)) as w:
        return np.frombuffer(w.readframes(w.getnframes()), "<i2").astype(np.float32) / 32768


def words(text):
    return re.findall(r"[a-z']+", text.lower())


def edits(a, b):
    """Levenshtein distance of two word lists."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


decoder = Decoder(samprate=RATE, loglevel="FATAL")


def recognised(x):
    decoder.start_utt()
    decoder.process_raw((np.clip(x, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    return words(decoder.hyp().hypstr if decoder.hyp() else "")


corpus, copies = Path(sys.argv[1]), Path(sys.argv[2])
for folder in sorted(copies.iterdir()):
    texts = {}
    with open(corpus / folder.name / "transcripts.tsv", encoding="utf8") as f:
        for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
            texts[row["utt"]] = row["text"]
    stois, pesqs, seconds = [], [], []
    total = wrong_original = wrong_copy = 0
    for path in sorted(folder.glob("*.wav")):
        x, y = read(corpus / folder.name / path.name), read(path)
        n = min(len(x), len(y))
        x, y = x[:n], y[:n]
        try:
            pesqs.append(pesq(RATE, x, y, "wb"))
        except PesqError:
            continue                                 # too short for it
        stois.append(stoi(x, y, RATE))
        seconds.append(n / RATE)
        said = words(texts[path.stem])
        if folder.name.startswith("en_") and len(said) >= 4 and not re.search(r"\d|#", texts[path.stem]):
            total += len(said)
            wrong_original += edits(said, recognised(x))
            wrong_copy += edits(said, recognised(y))
    mean = lambda v: np.average(v, weights=seconds)
    line = f"{folder.name:12} {len(stois):3} recordings  STOI {mean(stois):.3f}  PESQ-WB {mean(pesqs):.2f}"
    if total:
        line += f"  words wrong: {wrong_original} of {total} in the originals, {wrong_copy} in the copies"
    print(line)
