"""Words that a recogniser hears."""

import re

import numpy as np
from pocketsphinx import Decoder

from corpus import RATE

decoder = None


def words(text):
    return re.findall(r"[a-z']+", text.lower())


def recognised(x):
    """What pocketsphinx with its own English model hears."""
    global decoder
    decoder = decoder or Decoder(samprate=RATE, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(np.round(32767 * np.clip(x, -1, 1)).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    return words(decoder.hyp().hypstr if decoder.hyp() else "")


def edits(a, b):
    """Levenshtein distance of two word lists."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]
