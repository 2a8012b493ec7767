"""picture.py CORPUS COPIES OUT.png: spectrograms of one held-out recording and of what three systems make of it."""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import corpus
from measure import RANGE_DB, log_spectrum

SPEAKER, UTTERANCE = "en_allison", "demo-thanks"
SECONDS = (0.0, 3.2)
PANELS = (("the recording", None), ("the voice", "i8"), ("WORLD", "world"), ("Griffin-Lim", "griffin-lim"),
          ("Griffin-Lim with F0", "griffin-lim-f0"))
SIZE = 512
COLOURS = 64  # of the file: a third of its size, and no difference to see


def main():
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    root, copies, out = map(Path, sys.argv[1:])
    figure, panels = plt.subplots(len(PANELS), 1, figsize=(9, 9.5), sharex=True, layout="constrained")
    loudest = None
    for (title, system), panel in zip(PANELS, panels):
        folder = root if system is None else copies / system
        x = corpus.read(folder / SPEAKER / f"{UTTERANCE}.wav")
        x = x[int(SECONDS[0] * corpus.RATE) : int(SECONDS[1] * corpus.RATE)]
        level = log_spectrum(x, SIZE).T
        loudest = level.max() if loudest is None else loudest
        panel.imshow(level, origin="lower", aspect="auto", cmap="magma", vmin=loudest - RANGE_DB, vmax=loudest,
                     extent=(*SECONDS, 0, corpus.RATE / 2000), interpolation="nearest")
        panel.set_title(title, loc="left", fontsize=9)
        panel.set_ylabel("kHz")
        panel.set_yticks(np.arange(0, 9, 2))
    panels[-1].set_xlabel("seconds")
    figure.savefig(out, dpi=80, metadata={"Software": None})
    Image.open(out).convert("RGB").quantize(COLOURS).save(out, optimize=True)


if __name__ == "__main__":
    main()
