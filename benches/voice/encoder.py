"""The independent speaker encoder: resemblyzer's (a GE2E network, Wan et al. 2018, trained by its authors)."""

import os
import random

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the files are what is shared among the cores

import numpy as np
import torch
from resemblyzer import VoiceEncoder, preprocess_wav

import corpus

REFERENCES = 30  # recordings behind a speaker's reference
REFERENCE_SECONDS = (3, 8)
RECORDING_SECONDS = (2, 8)  # of those that a stranger brings

network = None


def embed(path):
    """Unit vector of who speaks in a recording."""
    global network
    torch.set_num_threads(1)
    network = network or VoiceEncoder("cpu", verbose=False)
    return network.embed_utterance(preprocess_wav(path))


def embeddings(paths):
    return np.array(corpus.each(embed, list(paths)))


def training(root, speaker, low, high):
    """Training recordings of a length in seconds between the limits, in an order of chance but the same each time."""
    rows = corpus.rows(root, speaker, "train")
    found = [root / speaker / f"{utt}.wav" for utt, seconds, _ in rows if low <= seconds <= high]
    random.Random(0).shuffle(found)
    return found


def reference(root, speaker):
    """Mean embedding of training recordings, scaled to 1."""
    mean = embeddings(training(root, speaker, *REFERENCE_SECONDS)[:REFERENCES]).mean(0)
    return mean / np.linalg.norm(mean)


def enough(root, speaker, seconds):
    """Training recordings that reach `seconds` together, and how many they do."""
    chosen, total = [], 0.0
    for path in training(root, speaker, *RECORDING_SECONDS):
        if total >= seconds:
            break
        chosen.append(path)
        total += len(corpus.read(path)) / corpus.RATE
    return chosen, total


def held_out(root, speaker, count, most_seconds):
    """The longest held-out recordings up to a length."""
    rows = [r for r in corpus.rows(root, speaker, "test") if r[1] <= most_seconds]
    return [root / speaker / f"{utt}.wav" for utt, *_ in sorted(rows, key=lambda r: -r[1])[:count]]
