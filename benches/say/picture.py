"""picture.py CORPUS PROGRAM OUT.png: spectrograms of a held-out recording, of its copy, and of its text said."""

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

matplotlib.use("Agg")
import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).parents[1] / "voice"))
import corpus  # noqa: E402
from measure import RANGE_DB, log_spectrum  # noqa: E402

SPEAKER, UTTERANCE = "en_allison", "demo-thanks"
SIZE, COLOURS = 512, 64  # of the transform; of the file


def main():
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    root, program, out = map(Path, sys.argv[1:])
    recording = root / SPEAKER / f"{UTTERANCE}.wav"
    text = next(text for utt, _, text in corpus.rows(root, SPEAKER, "test") if utt == UTTERANCE)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        said = folder / "said.wav"
        subprocess.run([program, "copy", "-c", SPEAKER, recording, "-o", folder / "copies"], check=True, capture_output=True)
        subprocess.run([program, "say", "--condition", SPEAKER, "--seed", "1", "-o", said, "--", text], check=True, capture_output=True)
        panels = {"the recording": recording, "the voice, from the recording's frames": folder / "copies" / recording.name,
                  "the voice, from the text": said}
        sounds = {title: corpus.read(path) for title, path in panels.items()}
    seconds = max(map(len, sounds.values())) / corpus.RATE
    figure, axes = plt.subplots(len(sounds), 1, figsize=(10, 7), sharex=True, layout="constrained")
    for (title, x), axis in zip(sounds.items(), axes):
        level = log_spectrum(x, SIZE).T
        axis.imshow(level, origin="lower", aspect="auto", cmap="magma", vmin=level.max() - RANGE_DB, vmax=level.max(),
                    extent=(0, len(x) / corpus.RATE, 0, corpus.RATE / 2000), interpolation="nearest")
        axis.set_title(title, loc="left", fontsize=9)
        axis.set_ylabel("kHz")
        axis.set_xlim(0, seconds)
        axis.set_yticks(np.arange(0, 9, 2))
    axes[-1].set_xlabel("seconds")
    figure.savefig(out, dpi=80, metadata={"Software": None})
    Image.open(out).convert("RGB").quantize(COLOURS).save(out, optimize=True)


if __name__ == "__main__":
    main()
