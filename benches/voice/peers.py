"""peers.py CORPUS OUT: other ways to say the held-out recordings again, as OUT/SYSTEM/SPEAKER/UTT.wav. Needs ffmpeg.

mulaw           the shipped voice's output format alone: pre-emphasis of 0.85, 8-bit mu-law, and back
griffin-lim     the track's sixteen cepstra, 24 mel bands, magnitudes, phases by 60 iterations; F0 unused
griffin-lim-f0  the same started from pulses at the track's F0 and noise, and with the magnitudes of both
world           WORLD, analysis and synthesis: F0 by Harvest, spectral envelope, aperiodicity, every 5 ms
codec2          Codec 2 at 3200 bit/s; it works at 8 kHz
opus            Opus at 6 kbit/s, constant rate, frames of 60 ms; at this rate it works at 8 kHz
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the files are what is shared among the cores

import librosa
import numpy as np
import pyworld

import corpus
from corpus import RATE
from measure import features, reference

PREEMPHASIS = 0.85
FFT, WINDOW, ITERATIONS, MOMENTUM = 512, 400, 60, 0.99  # window and transform are the track's
HOP = features.HOP


def mulaw(x):
    return reference.decode(reference.encode(x, PREEMPHASIS), PREEMPHASIS)


# Griffin-Lim ---------------------------------------------------------------------------------------------------------


def envelope(rows):
    """[257, frames] magnitudes: each band's mean power stands at its centre, straight lines in dB between."""
    triangles = features.triangles(features.BANDS)
    bands = rows[:, : features.CEPSTRA] @ features.dct(features.BANDS).T - np.log(triangles.sum(1))
    bins = np.arange(FFT // 2 + 1)
    centres = triangles @ bins / triangles.sum(1)
    return np.exp(0.5 * np.array([np.interp(bins, centres, row) for row in bands])).T


def excitation(rows, noise):
    """A pulse for each period where voiced, noise elsewhere, both of power 1."""
    f0 = np.repeat(rows[:, 16], HOP)
    periods = np.floor(np.cumsum(f0 / RATE))
    pulses = np.diff(periods, prepend=0) > 0
    return np.where(f0 > 0, pulses * np.sqrt(RATE / np.maximum(f0, 1)), noise.standard_normal(len(f0)))


def stft(x):
    return librosa.stft(x, n_fft=FFT, hop_length=HOP, win_length=WINDOW)


def phases(magnitude, start):
    """The fast Griffin-Lim algorithm (Perraudin, Balazs, Søndergaard 2013) from the phases of `start`."""
    angle, last = np.exp(1j * np.angle(start)), np.zeros_like(start)
    for _ in range(ITERATIONS):
        x = librosa.istft(magnitude * angle, hop_length=HOP, win_length=WINDOW)
        rebuilt = stft(x)[:, : magnitude.shape[1]]
        angle = np.exp(1j * np.angle(rebuilt - MOMENTUM / (1 + MOMENTUM) * last))
        last = rebuilt
    return librosa.istft(magnitude * angle, hop_length=HOP, win_length=WINDOW)


def griffin_lim(x, with_f0, seed=0):
    rows, noise = features.features(x), np.random.default_rng(seed)
    magnitude = envelope(rows)
    if with_f0:
        start = stft(excitation(rows, noise))[:, : len(rows)]
        window_power = (librosa.filters.get_window("hann", WINDOW) ** 2).sum()
        magnitude = magnitude * np.abs(start) / np.sqrt(window_power)
    else:
        start = np.exp(2j * np.pi * noise.random(magnitude.shape))
    # Frame i is centred at sample 160 i + 80, librosa's at 160 i.
    return np.concatenate([np.zeros(HOP // 2), phases(magnitude, start)])


# Vocoders and codecs -------------------------------------------------------------------------------------------------


def world(x):
    f0, times = pyworld.harvest(x, RATE)
    spectrum = pyworld.cheaptrick(x, f0, times, RATE)
    return pyworld.synthesize(f0, spectrum, pyworld.d4c(x, f0, times, RATE), RATE)


def coded(x, suffix, *options):
    """Through ffmpeg's coder and back."""
    with tempfile.TemporaryDirectory() as folder:
        before, code, after = (Path(folder) / name for name in ("x.wav", f"x.{suffix}", "y.wav"))
        corpus.write(before, x)
        ffmpeg = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1"]
        subprocess.run([*ffmpeg, "-i", before, *options, code], check=True)
        subprocess.run([*ffmpeg, "-i", code, "-ar", str(RATE), "-ac", "1", after], check=True)
        y = corpus.read(after)
    return y[delay(x, y) :]


def delay(x, y):
    """Samples by which y's envelope lags behind x's, at most 100 ms."""
    smooth = lambda v: np.convolve(np.abs(v), np.hanning(RATE // 100), "same")
    n, most = min(len(x), len(y)), RATE // 10
    a, b = smooth(x[:n]), smooth(np.pad(y, (0, most)))
    scores = [np.dot(a, b[lag : lag + n]) / (np.linalg.norm(b[lag : lag + n]) + 1e-9) for lag in range(0, most, 4)]
    return 4 * int(np.argmax(scores))


SYSTEMS = {
    "mulaw": mulaw,
    "griffin-lim": lambda x: griffin_lim(x, False),
    "griffin-lim-f0": lambda x: griffin_lim(x, True),
    "world": world,
    "codec2": lambda x: coded(x, "c2", "-ar", "8000", "-c:a", "libcodec2", "-mode", "3200"),
    "opus": lambda x: coded(x, "opus", "-c:a", "libopus", "-b:a", "6k", "-vbr", "off", "-application", "voip",
                            "-frame_duration", "60"),
}


def one(job):
    source, target, system = job
    x = corpus.read(source)
    y = SYSTEMS[system](x)
    corpus.write(target, np.pad(y, (0, max(len(x) - len(y), 0)))[: len(x)])


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    root, out = map(Path, sys.argv[1:])
    jobs = [(root / speaker / f"{utt}.wav", out / system / speaker / f"{utt}.wav", system)
            for speaker in corpus.SPEAKERS for utt, *_ in corpus.rows(root, speaker, "test") for system in SYSTEMS]
    corpus.each(one, [job for job in jobs if not job[1].exists()])


if __name__ == "__main__":
    main()
