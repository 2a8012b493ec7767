"""silence.py CORPUS PROGRAM MODEL COPIES OUT.json: what is heard where nothing is said.

Silence: three seconds of zeros, said by each speaker. Pauses: frames of held-out recordings that lie, with what is
60 ms around them, 50 dB below the recording's loudest; their level in the original and in the copy COPIES/f32.
"""

import numpy as np

import corpus
from corpus import RATE, SPEAKERS
from program import asked

FRAME = RATE // 50
AROUND = 3  # frames on either side
BELOW_DB = 50.0


def dbfs(power):
    """Decibels below a full-scale square wave; None for digital silence."""
    return float(10 * np.log10(power)) if power > 0 else None


def powers(x):
    return (x[: len(x) // FRAME * FRAME].reshape(-1, FRAME) ** 2).mean(1)


def pauses(power):
    """True for frames of pauses."""
    quiet = np.pad(power <= power.max() * 10 ** (-BELOW_DB / 10), AROUND, constant_values=True)
    return np.lib.stride_tricks.sliding_window_view(quiet, 2 * AROUND + 1).all(1)


def pause_levels(root, copies, speaker):
    original, copy = [], []
    for utt, *_ in corpus.rows(root, speaker, "test"):
        x = corpus.read(root / speaker / f"{utt}.wav")
        y = corpus.read(copies / speaker / f"{utt}.wav")[: len(x)]
        a, b = powers(x), powers(np.pad(y, (0, len(x) - len(y))))
        found = pauses(a)
        original += list(a[found])
        copy += list(b[found])
    if not original:
        return {"pause_s": 0.0, "pause_original_dbfs": None, "pause_copy_dbfs": None}
    return {"pause_s": len(original) * FRAME / RATE, "pause_original_dbfs": dbfs(np.mean(original)),
            "pause_copy_dbfs": dbfs(np.mean(copy))}


def main():
    root, program, copies, out = asked(__doc__)
    nothing, folder = copies / "silence" / "zeros.wav", copies / "silence"
    corpus.write(nothing, np.zeros(3 * RATE))
    result = {}
    for speaker in SPEAKERS:
        heard = folder / f"{speaker}.wav"
        track = program.track(nothing, folder / f"{speaker}.bin", like=speaker)
        program.render([(program.speaker(speaker), track, heard)])
        y = corpus.read(heard)
        result[speaker] = {"silence_dbfs": dbfs((y**2).mean()), "silence_peak_dbfs": dbfs((y**2).max())}
        result[speaker] |= pause_levels(root, copies / "i8", speaker)
    corpus.save(out, result)


if __name__ == "__main__":
    main()
