"""Sampling: how a uniform number picks a symbol, and the uniform numbers of --seed."""

import numpy as np

from checkpoint import F32

def weights(row, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """What is left of each symbol's weight by step 4. Also how near a weight is to being kept or left out otherwise."""
    row = np.asarray(row, F32)
    w = np.exp((row - row.max()) * (F32(1) / F32(temperature))).astype(np.float64)
    near = np.abs(w - min_p).min() if min_p else np.inf
    w[w < F32(min_p)] = 0
    order = np.argsort(-w, kind="stable")
    if 0 < top_k < len(w):
        near = min(near, w[order[top_k - 1]] - w[order[top_k]])
        w[order[top_k:]] = 0
    if top_p < 1:
        sums = np.cumsum(w[order]) / w.sum()
        near = min(near, np.abs(sums - top_p).min())
        w[order[max(np.flatnonzero(sums >= top_p)[0] + 1, 1) :]] = 0
    return w, near


def draw(row, u, temperature=1.0, *choice):
    """The symbol that a uniform number picks. Also how far u lies from the nearest edge of that symbol's interval, or how
    near the choice of the symbols was."""
    if temperature == 0:
        return int(np.argmax(row)), np.inf
    w, near = weights(row, temperature, *choice)
    sums, total = np.cumsum(w), w.sum()
    above = np.flatnonzero(sums > u * total)
    i = int(above[0]) if len(above) else int(w.argmax())
    low = sums[i - 1] if i else 0.0
    return i, min(abs(u - low / total), abs(sums[i] / total - u), near)


def uniforms(seed, count):
    """The uniform numbers of --seed: SplitMix64 fills xoshiro256++."""
    mask, state, s = (1 << 64) - 1, seed, []
    for _ in range(4):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        s.append(z ^ (z >> 31))
    rotl, out = lambda x, k: ((x << k) | (x >> (64 - k))) & mask, np.empty(count, F32)
    for i in range(count):
        out[i] = ((rotl((s[0] + s[3]) & mask, 23) + s[0]) & mask) >> 40
        t = (s[1] << 17) & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 45)
    return out / F32(1 << 24)
