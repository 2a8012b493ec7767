"""Compares a built wavesynth with pixel_cnn.py.

    python3 tests/reference/check_pixel_cnn.py target/release/wavesynth
"""

import numpy as np

from common import random_tensors, run
import check_text
import check_types
import text

HEIGHT, WIDTH = 6, 7


def spiral():
    left, out = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH), []
    while left.size:
        out += left[0].tolist()
        left = left[1:].T[::-1]
    return out


def orders(rng):
    raster = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    serpentine = raster.copy()
    serpentine[1::2] = serpentine[1::2, ::-1]
    yield "raster", raster.ravel().tolist()
    yield "column", raster.T.ravel().tolist()
    yield "serpentine", serpentine.ravel().tolist()
    yield "spiral", spiral()
    yield "random", rng.permutation(HEIGHT * WIDTH).tolist()


def invented(rng, sites, **changes):
    config = {"classes": 5, "start": 2, "grid": {"height": HEIGHT, "width": WIDTH}, "order": {"sites": {"sites": sites}}}
    config |= {"layers": 3, "channels": 12, "embedding": 4, "first_kernel": 5, "kernel": 3, "head_channels": 20}
    return random_tensors(rng, {"version": 1, "family": "pixel_cnn", "config": config | changes}, 1.5)


def checks(session):
    rng = np.random.default_rng(11)
    levels = {"name": "logistic_mixture", "components": 2, "channels": 1, "levels": 256}
    others = [("labels", {"labels": 3}), ("bernoulli", {"classes": 2, "start": 1, "likelihood": {"name": "bernoulli"}})]
    others += [("logistics", {"classes": 256, "likelihood": levels})]
    cases = [(f"PixelCNN, {name}", invented(rng, sites)) for name, sites in orders(rng)]
    cases += [(f"PixelCNN, {name}", invented(rng, spiral(), **changes)) for name, changes in others]
    for name, model in cases:
        model.write(session.path("own.safetensors"))
        symbols = rng.integers(0, model.config["classes"], 2 * HEIGHT * WIDTH + 10)
        check_text.check_logits(session, name, model, "own.safetensors", symbols, ("step",))
        check_text.check_logits(session, name, model, "own.safetensors", symbols[: HEIGHT * WIDTH], ("graph",))
    for name, model in cases[0], cases[4], cases[5]:
        model.write(session.path("own.safetensors"))
        symbols = [rng.integers(0, model.config["classes"], HEIGHT * WIDTH) for _ in range(5)]
        check_types.check_model(session, name, model, "own.safetensors", symbols, rows=text.logits)


if __name__ == "__main__":
    run(checks)
