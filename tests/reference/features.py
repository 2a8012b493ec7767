"""Tracks and what is common to speakers: the sections on features of docs/formats.md, in numpy, in double precision."""

import math

import numpy as np

# The feature recipe cep16-f0-v1 --------------------------------------------------------------------------------------

HOP, BANDS, CEPSTRA = 160, 24, 16


def windows(x, before, length):
    """[frames, length]: what lies around each frame's centre, silence outside the recording."""
    frames = -(-len(x) // HOP)
    padded = np.concatenate([np.zeros(before), x, np.zeros(length + HOP)])
    return padded[HOP * np.arange(frames)[:, None] + HOP // 2 + np.arange(length)]


def log_mel(x, bands):
    """[frames, bands]: natural logarithm of the power in each mel band."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(np.fft.rfft(windows(x, 200, 400) * hann, 512)) ** 2
    return np.log(np.maximum(power @ triangles(bands).T, 1e-6))


def triangles(bands):
    """[bands, 257]: what each bin's power weighs in each band."""
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edge = np.linspace(mel(50), mel(7600), bands + 2)  # each triangle's centre, and one edge more at either end
    at = (mel(np.arange(257) * 16000 / 512) - edge[1:-1, None]) / (edge[1] - edge[0])
    return np.maximum(1 - np.abs(at), 0)  # straight in mel, not in Hz


def dct(bands):
    """[bands, 16]: bands to cepstra, orthonormal."""
    k, b = np.arange(CEPSTRA), np.arange(bands)[:, None]
    return np.where(k == 0, math.sqrt(1 / bands), math.sqrt(2 / bands)) * np.cos(np.pi * k * (b + 0.5) / bands)


def cepstra(x):
    return log_mel(x, BANDS) @ dct(BANDS)


def low_passed(x):
    j = np.arange(65) - 32
    h = np.sinc(0.1875 * j) * (0.54 + 0.46 * np.cos(np.pi * j / 33))
    return np.convolve(x, h / h.sum())[32 : 32 + len(x)]


def correlations(x):
    """[frames, 269] of C(k), or None for a recording in which nothing is voiced."""
    s = low_passed(x)
    hops = np.add.reduceat(s**2, np.arange(0, len(s), HOP))
    floor = 533 * 1e-4 * max(hops[i : i + 3].sum() for i in range(len(hops))) / (3 * HOP)
    if floor == 0:
        return None
    seg = windows(s, 318, 801)
    seg = seg - seg.mean(1, keepdims=True)
    c = np.empty((len(seg), 269))
    energy = [(seg[:, k : k + 533] ** 2).sum(1) for k in range(269)]
    for k in range(269):
        norm = np.sqrt((energy[0] + floor) * (energy[k] + floor))
        c[:, k] = (seg[:, :533] * seg[:, k : k + 533]).sum(1) / norm
    return c


def candidates(c):
    """Up to 8 of (w, m, lag) of a frame by falling w, and the highest correlation."""
    best, found = c[39:269].max(), []
    for k in range(40, 268):
        if c[k] > c[k - 1] and c[k] >= c[k + 1] and c[k] > 0 and c[k] >= 0.3 * best:
            shift = 0.5 * (c[k - 1] - c[k + 1]) / (c[k - 1] - 2 * c[k] + c[k + 1])
            m = min(c[k] - 0.25 * (c[k - 1] - c[k + 1]) * shift, 1)
            found.append((m * (1 - 0.3 * (k + shift) / 267), m, k + shift))
    return sorted(found, key=lambda x: -x[0])[:8], best


def pitch(x):
    """F0 in Hz and voicing strength of each frame, both 0 where it is unvoiced."""
    c = correlations(x)
    out = np.zeros((-(-len(x) // HOP), 2))
    if c is None:
        return out
    states, back, before, cost = [], [], [None], np.zeros(1)
    for row in c:
        found, best = candidates(row)
        change = np.full((len(before), 1 + len(found)), 0.15 if states else 0.0)
        change[0, 0] = 0
        for i, p in enumerate(before[1:], 1):
            for j, q in enumerate(found, 1):
                change[i, j] = min(abs(math.log2(q[2] / p[2])), 0.8)
        total = cost[:, None] + change
        cost = total.min(0) + np.array([min(best, 1)] + [1 - w for w, _, _ in found])
        back.append(total.argmin(0))
        before = [None] + found
        states.append(before)
    j = int(cost.argmin())
    for i in reversed(range(len(out))):
        if j:
            _, m, lag = states[i][j]
            out[i] = min(max(16000 / lag, 60), 400), min(max(m, 0), 1)
        j = int(back[i][j])
    return out


def features(x):
    """[frames, 18] before normalisation: 16 cepstra, F0 in Hz, voicing strength."""
    x = np.asarray(x, np.float64)
    return np.concatenate([cepstra(x), pitch(x)], 1)


def statistics(recordings):
    """The speaker's statistics from the features of all recordings of the speaker."""
    rows = np.concatenate(recordings)
    c0, loud = rows[:, 0], np.sort(rows[:, 0])[len(rows) * 95 // 100]
    floor = math.sqrt(24) * math.log(1e-6)
    speech = rows[(c0 >= loud - math.sqrt(24) * 3.5 * math.log(10)) & (c0 >= 0.999 * floor), :CEPSTRA]
    if len(speech) < 20:
        raise ValueError("too little speech")
    f0 = np.sort(rows[rows[:, 16] > 0, 16])
    median = float(f0[len(f0) // 2]) if len(f0) else 0.0
    return {"mean": speech.mean(0).tolist(), "std": np.maximum(speech.std(0), 0.01).tolist(), "median_f0_hz": median}


def normalised(rows, stats):
    """[frames, 18] as a track holds them."""
    out = np.zeros((len(rows), 18))
    out[:, :CEPSTRA] = (rows[:, :CEPSTRA] - stats["mean"]) / stats["std"]
    voiced = np.flatnonzero(rows[:, 16] > 0)
    if len(voiced) and stats["median_f0_hz"] > 0:
        out[:, 16] = np.interp(np.arange(len(rows)), voiced, 2 * np.log2(rows[voiced, 16] / stats["median_f0_hz"]))
    out[:, 17] = rows[:, 17]
    return np.clip(out, -4, 4)


def renumbered(track, own, reads):
    """A track in the numbers of `own` as a model that reads `reads` reads it."""
    out = np.array(track, np.float64)
    out[:, :CEPSTRA] = (out[:, :CEPSTRA] * own["std"] + np.subtract(own["mean"], reads["mean"])) / reads["std"]
    if own["median_f0_hz"] > 0 and reads["median_f0_hz"] > 0:
        out[:, 16] += 2 * np.log2(own["median_f0_hz"] / reads["median_f0_hz"])
    return np.clip(out, -4, 4)


# The space common to speakers ----------------------------------------------------------------------------------------

SIDE = np.repeat([0.6, 1.0, 0.6], CEPSTRA)
MIDDLE = slice(CEPSTRA, 2 * CEPSTRA)
NOWHERE = {"matrix": np.eye(CEPSTRA), "offset": np.zeros(CEPSTRA)}


def spread(rows, count):
    return rows[np.arange(count) * len(rows) // count]


def apart(a, b):
    """[len(a), len(b)] squared distances."""
    return (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)


def codebook(rows):
    heard, centres = spread(rows, min(len(rows), 10240)), spread(rows, min(len(rows), 256)).copy()
    for _ in range(6):
        whose = apart(heard, centres).argmin(1)
        for i in np.unique(whose):
            centres[i] = heard[whose == i].mean(0)
    return centres


def speech_rows(track):
    """Rows of 48 of a normalised track."""
    c = np.asarray(track, np.float64)[:, :CEPSTRA]
    at = np.arange(len(c))
    rows = SIDE * np.concatenate([c[np.maximum(at - 1, 0)], c, c[np.minimum(at + 1, len(c) - 1)]], 1)
    return rows[c[:, 0] > -2]


def fit(own, others):
    m, b = np.eye(CEPSTRA), np.zeros(CEPSTRA)
    for _ in range(8):
        mapped = np.concatenate([part @ m.T for part in np.split(own, 3, 1)], 1) + SIDE * np.tile(b, 3)
        d = apart(mapped, others)
        x, y = np.concatenate([own, own[d.argmin(0)]])[:, MIDDLE], np.concatenate([others[d.argmin(1)], others])[:, MIDDLE]
        # The penalty as rows of their own.
        hold = np.sqrt(0.1 * len(x)) * np.eye(CEPSTRA + 1)
        inputs = np.concatenate([np.c_[x, np.ones(len(x))], hold])
        found = np.linalg.lstsq(inputs, np.concatenate([y, hold[:, :CEPSTRA]]), rcond=None)[0]
        m, b = found[:CEPSTRA].T, found[CEPSTRA]
    gain = y.std(0) / (x @ m.T).std(0)
    m = gain[:, None] * m
    return {"matrix": m, "offset": y.mean(0) - (x @ m.T).mean(0)}


def common_codebook(voice):
    coded = voice["common"]
    return coded["step"] * np.array(coded["codes"], np.float64).reshape(-1, 3 * CEPSTRA)


def converted(model, speaker, speaker_stats, track, track_stats):
    """Vector and track as the speaker says another's track."""
    table = model.tensors["cond.speakers"].astype(np.float64)
    known = [(s["stats"], row) for s, row in zip(model.voice["speakers"], table) if s.get("stats")]
    same = lambda a: all(np.array_equal(a[k], track_stats[k]) for k in ("mean", "std", "median_f0_hz"))
    other, other_vector = next((k for k in known if same(k[0])), ({}, table.mean(0)))

    s, t = track_stats.get("common") or other.get("common") or NOWHERE, speaker_stats.get("common") or NOWHERE
    cepstra = track[:, :CEPSTRA] @ np.transpose(s["matrix"]) + s["offset"] - t["offset"]
    cepstra = np.clip(cepstra @ np.linalg.inv(t["matrix"]).T, -4, 4)
    away = 0.7 if model.config["condition"].get("others") else 1
    return speaker + away * (speaker - other_vector), np.concatenate([cepstra, track[:, CEPSTRA:]], 1)
