"""measure.py CORPUS COPIES -o OUT.json: how near the copies COPIES/SPEAKER/UTT.wav come to their originals.

One measure for every system: what made the copies is not known here. docs/voice.md defines each figure.
"""

import argparse
import os
import re
import sys
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the files are what is shared among the cores

import numpy as np
import parselmouth
from pesq import PesqError, pesq
from pystoi import stoi

import corpus
from corpus import RATE
from recogniser import edits, recognised, words

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "reference"))
import features  # noqa: E402  of docs/formats.md
import reference  # noqa: E402

RANGE_DB = 60.0  # what lies further below the original's loudest point counts as silence
MEL_BANDS = 80
FFT_SIZES = (512, 1024, 2048)
F0_HZ = (60.0, 400.0)  # the track's range
HOP_S = 0.01
LEAST_FRAMES = 10  # voiced in both, for an F0 figure


def distance(original, copy):
    """Root mean square over the bands of the difference in dB, mean over the frames; both limited below."""
    floor = original.max() - RANGE_DB
    difference = np.maximum(original, floor) - np.maximum(copy, floor)
    return float(np.sqrt((difference**2).mean(1)).mean())


def log_spectrum(x, size):
    """[frames, size/2 + 1] dB: periodic Hann windows, a quarter of a window apart."""
    hop = size // 4
    padded = np.pad(x, size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return 10 * np.log10(np.maximum(np.abs(np.fft.rfft(frames * window)) ** 2, 1e-12))


def log_mel(x):
    return 10 / np.log(10) * features.log_mel(x, MEL_BANDS)


def f0(x):
    """Hz every 10 ms, 0 where unvoiced, by Praat's autocorrelation (Boersma 1993): no system here is built on it."""
    track = parselmouth.Sound(x, RATE).to_pitch_ac(time_step=HOP_S, pitch_floor=F0_HZ[0], pitch_ceiling=F0_HZ[1])
    hz = [track.get_value_at_time(t) for t in np.arange(HOP_S / 2, len(x) / RATE, HOP_S)]
    return np.nan_to_num(np.array(hz))


def harmonicity(x):
    """Mean harmonics-to-noise ratio in dB where Praat finds a period; None where it finds none."""
    sound = parselmouth.Sound(x, RATE)
    values = sound.to_harmonicity_cc(time_step=HOP_S, minimum_pitch=F0_HZ[0]).values
    voiced = values[values > -200]  # -200 says none
    return float(voiced.mean()) if len(voiced) else None


def pitch_figures(f, g):
    """F0 correlation, root mean square error in cents, voicing error of two F0 tracks."""
    n = min(len(f), len(g))
    f, g = f[:n], g[:n]
    both = (f > 0) & (g > 0)
    figures = {"f0_correlation": None, "f0_cents": None, "voicing_error": float(((f > 0) != (g > 0)).mean())}
    if both.sum() >= LEAST_FRAMES:
        a, b = np.log2(f[both]), np.log2(g[both])
        figures["f0_cents"] = float(1200 * np.sqrt(((a - b) ** 2).mean()))
        if a.std() > 0 and b.std() > 0:
            figures["f0_correlation"] = float(np.corrcoef(a, b)[0, 1])
    return figures


def perception(x, y):
    """STOI and wide-band PESQ; None where a recording is too short for them."""
    with warnings.catch_warnings():
        # pystoi warns, and answers with next to nothing, where less than 30 of its frames are left.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            intelligibility = float(stoi(x, y, RATE))
        except RuntimeWarning:
            intelligibility = None
    try:
        quality = float(pesq(RATE, x, y, "wb"))
    except PesqError:
        quality = None
    return {"stoi": intelligibility, "pesq_wb": quality}


def compare(original, copy):
    """All figures of one copy."""
    n = min(len(original), len(copy))
    x, y = original[:n], copy[:n]
    spectra = [distance(log_spectrum(x, s), log_spectrum(y, s)) for s in FFT_SIZES]
    figures = {"log_spectral_db": float(np.mean(spectra)), "log_mel_db": distance(log_mel(x), log_mel(y))}
    return figures | pitch_figures(f0(x), f0(y)) | {"harmonicity_db": harmonicity(y)} | perception(x, y)


# Words ---------------------------------------------------------------------------------------------------------------

def is_sentence(text):
    """Of at least four words, without digits."""
    return len(words(text)) >= 4 and not re.search(r"\d|#", text)


def word_figures(text, x):
    """Words said and words wrong of a sentence, else nothing."""
    if not is_sentence(text):
        return {}
    said = words(text)
    return {"words": len(said), "words_wrong": edits(said, recognised(x))}


# All recordings ------------------------------------------------------------------------------------------------------


def one(job):
    root, copies, speaker, utt, seconds, text = job
    original = corpus.read(root / speaker / f"{utt}.wav")
    copy = corpus.read(copies / speaker / f"{utt}.wav")
    figures = {"speaker": speaker, "utt": utt, "seconds": seconds} | compare(original, copy)
    if speaker.startswith("en_"):
        figures |= word_figures(text, copy)
    return figures


def means(rows):
    """Of each figure, weighing by seconds, over the recordings that have it; words are summed."""
    out = {"recordings": len(rows), "seconds": sum(r["seconds"] for r in rows)}
    for key in (k for k in rows[0] if k not in ("speaker", "utt", "seconds", "words", "words_wrong")):
        known = [(r[key], r["seconds"]) for r in rows if r[key] is not None]
        out[key] = sum(v * w for v, w in known) / sum(w for _, w in known) if known else None
    if any("words" in r for r in rows):
        out |= {k: sum(r.get(k, 0) for r in rows) for k in ("words", "words_wrong")}
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("copies", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    jobs = []
    for speaker in corpus.SPEAKERS:
        for utt, seconds, text in corpus.rows(args.corpus, speaker, "test"):
            if (args.copies / speaker / f"{utt}.wav").exists():
                jobs.append((args.corpus, args.copies, speaker, utt, seconds, text))
    if not jobs:
        raise SystemExit(f"{args.copies}: no copies of held-out recordings in there")
    files = corpus.each(one, sorted(jobs, key=lambda job: -job[4]))
    speakers = {s: means([r for r in files if r["speaker"] == s]) for s in corpus.SPEAKERS
                if any(r["speaker"] == s for r in files)}
    corpus.save(args.output, {"all": means(files), "speakers": speakers, "files": files})


if __name__ == "__main__":
    main()
