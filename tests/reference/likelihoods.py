"""The sections on likelihoods and series models of docs/formats.md, in numpy, in double precision."""

import math
from statistics import NormalDist

import numpy as np

import sampling

LATER = 2.0**-25  # what drawing adds to a uniform number

# Input ---------------------------------------------------------------------------------------------------------------


def entering(config, table, values):
    """[T, width]: what x_{t-1} adds to row t, by the rows of the input's table."""
    likelihood = config.get("likelihood")
    if likelihood is None or likelihood["name"] == "bernoulli":
        return table[np.concatenate([[config["start"]], values[:-1]]).astype(np.int64)]
    symbols = config.get("classes")
    first = numbers(likelihood, np.array(config["start"])) if symbols else beginning(likelihood, table)
    v = numbers(likelihood, np.asarray(values)).reshape(len(values), len(table))
    return np.concatenate([np.reshape(first, (1, -1)), v[:-1]]) @ table


def numbers(likelihood, values):
    """Levels as numbers from -1 to 1; the numbers of a Gaussian as they are."""
    return 2 * values / (likelihood["levels"] - 1) - 1 if "levels" in likelihood else values


def beginning(likelihood, table):
    return numbers(likelihood, np.zeros(len(table)))


# Probability ---------------------------------------------------------------------------------------------------------


def parts(likelihood, rows):
    """Logits [T, K], means and limited ln of the widths [T, K, D], coefficients [T, K, C(C-1)/2] of a mixture."""
    k, rows = likelihood.get("components", 1), np.asarray(rows, np.float64)
    d = likelihood.get("dims") or likelihood["channels"]
    logits = np.zeros((len(rows), 1))
    if likelihood["name"] != "gaussian":
        logits, rows = rows[:, :k], rows[:, k:]
    mean, wide, rest = rows[:, : k * d], rows[:, k * d : 2 * k * d], rows[:, 2 * k * d :]
    least = -7 - math.log((likelihood["levels"] - 1) / 255) if "levels" in likelihood else -7
    wide = np.clip(wide, least, 15)
    return logits, mean.reshape(-1, k, d), wide.reshape(-1, k, d), rest.reshape(len(rows), k, -1)


def shifted(mean, coefficients, v):
    """mu_kc of values whose numbers are v [T, C]."""
    out, at = mean.copy(), 0
    for c in range(mean.shape[2]):
        for j in range(c):
            out[:, :, c] += np.tanh(coefficients[:, :, at]) * v[:, None, j]
            at += 1
    return out


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


def log_softmax(x):
    return x - np.logaddexp.reduce(x, axis=-1, keepdims=True)


def log_bins(likelihood, mean, wide, levels):
    """ln of sigma(b) - sigma(a), for the edges a, b of the levels' bins: sigma(b) sigma(-a) (1 - e^(a-b))."""
    last = likelihood["levels"] - 1
    v, h = numbers(likelihood, levels), 1 / last
    a, b = (v - h - mean) / np.exp(wide), (v + h - mean) / np.exp(wide)
    inner = np.log(-np.expm1(-2 * h / np.exp(wide)))
    whole = log_sigmoid(b) + log_sigmoid(-a) + inner
    return np.where(levels == 0, log_sigmoid(b), np.where(levels == last, log_sigmoid(-a), whole))


def nats(likelihood, rows, values):
    """-ln p of each value under its row of parameters; `values` are symbols, or rows of numbers or levels."""
    values = np.asarray(values)
    if likelihood["name"] == "bernoulli":
        return -log_sigmoid(np.where(values == 1, rows[:, 0], -rows[:, 0]))
    logits, mean, wide, coefficients = parts(likelihood, rows)
    values = values.reshape(len(values), 1, -1)
    if "levels" in likelihood:
        mean = shifted(mean, coefficients, numbers(likelihood, values[:, 0]))
        each = log_bins(likelihood, mean, wide, values)
    else:
        each = -0.5 * ((values - mean) / np.exp(wide)) ** 2 - wide - 0.5 * math.log(2 * math.pi)
    return -np.logaddexp.reduce(log_softmax(logits) + each.sum(2), axis=1)


# Drawing -------------------------------------------------------------------------------------------------------------


def below(likelihood, shares, mean, wide, levels):
    """p(0) + ... + p(k) for one channel's levels k; shares, mean and wide are [T, K]."""
    edge = numbers(likelihood, levels) + 1 / (likelihood["levels"] - 1)
    under = np.exp(log_sigmoid((edge[:, None] - mean) / np.exp(wide)))
    return np.where(levels >= likelihood["levels"] - 1, 1.0, (shares * under).sum(1))


def components(logits, choice):
    """[T, K]: the components' shares after temperature, min-p, top-k and top-p."""
    w = np.array([sampling.weights(row, *choice)[0] for row in logits])
    return w / w.sum(1, keepdims=True)


def draw_levels(likelihood, rows, u, temperature=1.0, *choice):
    """The levels of one channel that uniform numbers pick, and how far each u lies from its interval's edge."""
    logits, mean, wide, _ = parts(likelihood, rows)
    mean, wide, last = mean[:, :, 0], wide[:, :, 0], likelihood["levels"] - 1
    if temperature == 0:
        at = mean[np.arange(len(mean)), logits.argmax(1)]
        return nearest_level(likelihood, at), np.abs((at + 1) * last / 2 % 1 - 0.5) * 2 / last
    shares, wide = components(logits, (temperature, *choice)), wide + math.log(temperature)
    u = np.asarray(u, np.float64) + LATER
    low, high = np.full(len(u), -1), np.full(len(u), last)
    while (high - low > 1).any():
        middle = (low + high) // 2
        above = below(likelihood, shares, mean, wide, middle) > u
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    edges = np.where(high == 0, 0.0, below(likelihood, shares, mean, wide, high - 1))
    return high, np.minimum(np.abs(u - edges), np.abs(below(likelihood, shares, mean, wide, high) - u))


def draw_symbol(likelihood, row, u, *choice):
    if likelihood["name"] == "bernoulli":
        return sampling.draw(np.array([0, row[0]]), u, *choice)[0]
    return int(draw_levels(likelihood, row[None], np.array([u]), *choice)[0][0])


def nearest_level(likelihood, v):
    last = likelihood["levels"] - 1
    return np.clip(np.floor((np.asarray(v) + 1) * last / 2 + 0.5), 0, last).astype(np.int64)


def draw_vector(likelihood, row, u, temperature=1.0, *choice):
    """A vector of numbers or levels; u is an iterator of uniform numbers."""
    logits, mean, wide, coefficients = parts(likelihood, row[None])
    k = 0
    if likelihood["name"] != "gaussian":
        k, _ = sampling.draw(logits[0], next(u) if temperature else 0, temperature, *choice)
    v, out = np.zeros((1, mean.shape[2])), np.zeros(mean.shape[2])
    for c in range(mean.shape[2]):
        at = shifted(mean, coefficients, v)[0, k, c] if "levels" in likelihood else mean[0, k, c]
        if temperature:
            p = float(next(u)) + LATER
            wave = math.log(p) - math.log1p(-p) if "levels" in likelihood else NormalDist().inv_cdf(p)
            at += temperature * math.exp(wide[0, k, c]) * wave
        out[c] = nearest_level(likelihood, at) if "levels" in likelihood else at
        v[0, c] = numbers(likelihood, out[c])
    return out
