"""The families of sequences of a fixed length of docs/formats.md, in numpy, in double precision."""

import numpy as np

import likelihoods


def entering(config, rows, x):
    """What one value adds, by the rows of its step."""
    likelihood = config.get("likelihood")
    if likelihood is None or likelihood["name"] == "bernoulli":
        return rows[int(x)]
    return np.reshape(likelihoods.numbers(likelihood, np.asarray(x, np.float64)), -1) @ rows


def by_sequences(model, values, rows_of, classes):
    """[T, P] of the sequences of N values, one behind the other, of the i-th of `classes`; none where they end."""
    n = len(model.config["order"]["sites"]["sites"])
    parts = [values[at : at + n] for at in range(0, len(values), n)]
    classes = [*classes, *[None] * len(parts)]
    return np.concatenate([rows_of(model, part, n, label) for part, label in zip(parts, classes)])


def labelled(model, name, label):
    return 0 if label is None else model.values(name)[label]


# NADE: from symbols to parameters ------------------------------------------------------------------------------------


def nade(model, values, classes=()):
    return by_sequences(model, values, nade_rows, classes)


def nade_rows(model, x, n, label):
    weight, output, bias = (model.values(name) for name in ("hidden.weight", "output.weight", "output.bias"))
    a, out = model.values("hidden.bias"), []
    for t in range(len(x)):
        h = 0.5 * (1 + np.tanh((a + labelled(model, "hidden.labels", label)) / 2))
        out.append(output[t] @ h + bias[t])
        a = a + entering(model.config, weight[t], x[t]) if t + 1 < n else a
    return np.array(out)


# The masked perceptron: from symbols to parameters -------------------------------------------------------------------


def degrees(n, units):
    return np.array([n - 1 - (units - 1 - k) * (n - 1) // units for k in range(units)])


def made(model, values, classes=()):
    return by_sequences(model, values, made_rows, classes)


def made_rows(model, x, n, label):
    w, hidden = model.values, model.config["hidden"]
    known = min(len(x), n - 1)  # the last value enters nothing
    m = [degrees(n, units) for units in hidden]
    first = np.array([entering(model.config, w("layer.0.weight")[s], x[s]) for s in range(known)]).reshape(known, -1)
    sums = (first * (np.arange(known)[:, None] < m[0])).sum(0)
    h = np.maximum(sums + w("layer.0.bias") + labelled(model, "layer.0.labels", label), 0)
    if hidden[1:]:
        h = np.maximum(h @ (w("layer.1.weight") * (m[0][:, None] <= m[1])) + w("layer.1.bias"), 0)
    outputs = w("output.weight").reshape(hidden[-1], n, -1)
    out = np.einsum("k,ktp->tp", h, outputs * (m[-1][:, None] <= np.arange(n))[:, :, None])
    out = out + w("output.bias").reshape(n, -1) + np.reshape(labelled(model, "output.labels", label), (-1, 1) if label is None else (n, -1))
    if model.config["direct"]:
        direct = np.array([entering(model.config, w("direct.weight")[s], x[s]) for s in range(known)]).reshape(known, n, -1)
        out = out + (direct * (np.arange(known)[:, None] < np.arange(n))[:, :, None]).sum(0)
    return out[: len(x)]


# PixelRNN: from symbols to parameters --------------------------------------------------------------------------------

PLACES = [(dy, dx) for dy in (-3, -2, -1) for dx in range(-3, 4)] + [(0, dx) for dx in (-3, -2, -1)]
PASSES = {
    "row": [("row", [(0, -1), (0, 0)], [(-1, -1), (-1, 0), (-1, 1)], (-1, 0), 1)],
    "diagonal": [("left", [(0, 0)], [(-1, 0), (0, -1)], (0, -1), 1), ("right", [(0, 0)], [(-1, 0), (0, 1)], (0, 1), -1)],
}


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


def row_length(config):
    grid, sites = config["grid"], config["order"]["sites"]["sites"]
    columns = [site % grid["width"] for site in sites[:2]]
    return grid["height"] if columns[0] == columns[1] else grid["width"]


def directed(model, name, r, entering, recurrent, memory, way):
    """h [rows, columns, H] of a direction."""
    (rows, columns, _), size = r.shape, model.config["hidden"]
    r = np.pad(r, ((1, 0), (1, 1), (0, 0)))
    h, c = np.zeros((rows + 1, columns + 2, size)), np.zeros((rows + 1, columns + 2, size))
    weights = [f"{name}.input.weight", f"{name}.recurrent.weight"]
    for y in range(1, rows + 1):
        for x in range(1, columns + 1)[::way]:
            factors = [np.concatenate([of[y + dy, x + dx] for dy, dx in places]) for of, places in ((r, entering), (h, recurrent))]
            z = sum(model.product(factor[None], weight)[0] for factor, weight in zip(factors, weights))
            i, f, g, o = np.split(z + model.values(f"{name}.bias"), 4)
            c[y, x] = sigmoid(f) * c[y + memory[0], x + memory[1]] + sigmoid(i) * np.tanh(g)
            h[y, x] = sigmoid(o) * np.tanh(c[y, x])
    return h[1:, 1:-1]


def pixel_rnn(model, values, classes=()):
    return by_sequences(model, values, pixel_rows, classes)


def pixel_rows(model, x, n, label):
    config, w = model.config, model.values
    columns = row_length(config)
    rows = n // columns
    r = np.zeros((rows, columns, 2 * config["hidden"])) + w("input.bias") + labelled(model, "input.labels", label)
    for i, (dy, dx) in enumerate(PLACES):
        for t in range(n):
            at_y, at_x = t // columns + dy, t % columns + dx
            at = at_y * columns + at_x
            if at_y >= 0 and 0 <= at_x < columns and at < len(x):
                r[t // columns, t % columns] += entering(config, w("input.weight")[i], x[at])
    for l in range(config["layers"]):
        o = np.zeros((rows, columns, config["hidden"]))
        for name, *places, way in PASSES[config["kind"]]:
            h = directed(model, f"layer.{l}.{name}", r, *places, way)
            o += h if way > 0 else np.concatenate([np.zeros((1, *h.shape[1:])), h[:-1]])
        r = r + model.product(o, f"layer.{l}.output.weight") + w(f"layer.{l}.output.bias")
    hidden = np.maximum(model.product(np.maximum(r.reshape(n, -1), 0), "head.0.weight") + w("head.0.bias"), 0)
    return (model.product(hidden, "head.1.weight") + w("head.1.bias"))[: len(x)]
