#!/usr/bin/env python3
"""mean.py A.npy B.npy...: −ln of the mean probability of several models, of the same images in the same order.

Each file is what `eval --per-symbol` writes, nats [images, rows, columns]; the models may have any families and orders. Prints a JSON
object: each one's nats of an image, and those of their mean, with half of a 95 % interval as `eval` has it.
"""

import json
import sys

import numpy as np


def described(nats):
    return {"nats_per_image": float(nats.mean()), "nats_per_image_error": float(1.96 * nats.std(ddof=1) / len(nats) ** 0.5)}


if len(sys.argv) < 2:
    sys.exit(__doc__)
each = []
for path in sys.argv[1:]:
    nats = np.load(path).astype(np.float64)
    each.append(nats.reshape(len(nats), -1).sum(1))
if len({len(nats) for nats in each}) > 1:
    sys.exit(f"images: {', '.join(f'{len(nats)} in {path}' for nats, path in zip(each, sys.argv[1:]))}; wanted the same ones of every model")
mean = np.log(len(each)) - np.logaddexp.reduce([-nats for nats in each])
print(json.dumps({"images": len(mean), "models": [described(nats) for nats in each], "mean": described(mean)}))
