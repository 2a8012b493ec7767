"""The section on the Gated PixelCNN of docs/formats.md, in numpy, in double precision."""

import numpy as np

import likelihoods

STACKS = "vertical", "horizontal"


def shapes(config, params, rows):
    """Name and shape of every tensor; `rows` is the number of the embedding's."""
    c, d, a, classes = config["channels"], config["embedding"], config["head_channels"], config.get("labels", 0)
    out = {"input.embed": (rows, d), "head.0.weight": (c, a), "head.0.bias": (a,)}
    out |= {"head.1.weight": (a, params), "head.1.bias": (params,)}
    if likelihoods.are_numbers(config):
        out["input.bias"] = (d,)
    taps = all_taps(config)
    for l in range(config["layers"]):
        layer = {"vertical_to_horizontal.weight": (2 * c, 2 * c), "residual.weight": (c, c), "residual.bias": (c,)}
        for stack in STACKS:
            n = taps[stack, l > 0].shape[1] * (c if l else d)
            layer |= {f"{stack}.bias": (2 * c,)}
            layer |= {f"{stack}.weight": (n, 2 * c)} if n else {}
            layer |= {f"{stack}.class": (classes, 2 * c)} if classes else {}
        out |= {f"layer.{l}.{name}": shape for name, shape in layer.items()}
    return out


def lines(places):
    """The line of each step."""
    moves, line, out, t = np.diff(places, axis=0), 0, [], 0
    while t < len(places):
        end = t + 1
        while end < len(places) and np.abs(moves[t]).sum() == 1 and (moves[end - 1] == moves[t]).all():
            end += 1
        length = end - t if end - t >= 3 else 1
        out += [line] * length
        line, t = line + 1, t + length
    return np.array(out)


def all_taps(config):
    """The step that each tap reads at each step, -1 for none [N, taps]: by stack, and whether it is not the first layer."""
    height, width = config["grid"]["height"], config["grid"]["width"]
    sites = np.array(config["order"]["sites"]["sites"])
    places = np.stack(divmod(sites, width), 1)
    line, out = lines(places), {}
    step = np.full((height, width), -1)
    step[places[:, 0], places[:, 1]] = np.arange(len(sites))
    t = np.arange(len(sites))
    for later, kernel in (False, config["first_kernel"]), (True, config["kernel"]):
        half = kernel // 2
        around = np.pad(step, half, constant_values=-1)
        found = {stack: [] for stack in STACKS}
        for dy in range(-half, half + 1):
            for dx in range(-half, half + 1):
                u = around[places[:, 0] + half + dy, places[:, 1] + half + dx]
                same, there = line[u] == line, u >= 0
                reads = {"vertical": (line[u] < line) | (same & later), "horizontal": same & ((u < t) | (u == t) & later)}
                for stack in STACKS:
                    if (there & reads[stack]).any():
                        found[stack].append(np.where(there & reads[stack], u, -1))
        for stack in STACKS:
            out[stack, later] = np.stack(found[stack], 1) if found[stack] else np.empty((len(sites), 0), int)
    return out


def gate(z):
    a, b = np.split(z, 2, 1)
    return np.tanh(a) * 0.5 * (1 + np.tanh(b / 2))


def image(model, e, label):
    """[N, P] of one image whose pixels, in the order of the steps, enter as the rows e."""
    w, taps = model.values, all_taps(model.config)
    v = h = e

    def sums(stack, l, x):
        name, steps = f"layer.{l}.{stack}", taps[stack, l > 0]
        out = w(f"{name}.bias") + np.zeros((len(x), 1))
        if label is not None and label < model.config.get("labels", 0):
            out = out + w(f"{name}.class")[label]
        read = np.concatenate([x, np.zeros((1, x.shape[1]))])[steps].reshape(len(x), -1)
        return out + model.product(read, f"{name}.weight") if steps.size else out

    for l in range(model.config["layers"]):
        a = sums("vertical", l, v)
        z = sums("horizontal", l, h) + model.product(a, f"layer.{l}.vertical_to_horizontal.weight")
        out = model.product(gate(z), f"layer.{l}.residual.weight") + w(f"layer.{l}.residual.bias")
        v, h = (gate(a) + v, out + h) if l else (gate(a), out)
    for i in range(2):
        h = model.product(np.maximum(h, 0), f"head.{i}.weight") + w(f"head.{i}.bias")
    return h


def pixel_cnn(model, values, label=None):
    """[T, P] of images one after the other, the last one perhaps not whole."""
    n, out = len(model.config["order"]["sites"]["sites"]), []
    for at in range(0, len(values), n):
        part = values[at : at + n]
        whole = np.concatenate([part, np.repeat(part[:1], n - len(part), 0)])
        # Row t + 1 of what enters is what x_t enters as.
        e = likelihoods.entering(model.config, model.values("input.embed"), np.concatenate([whole, whole[:1]]))[1:]
        bias = model.values("input.bias")
        out.append(image(model, e if bias is None else e + bias, label)[: len(part)])
    return np.concatenate(out)
