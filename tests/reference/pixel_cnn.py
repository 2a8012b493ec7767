"""The section on the Gated PixelCNN of docs/formats.md, in numpy, in double precision."""

import numpy as np

import likelihoods
from taps import all_taps

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
