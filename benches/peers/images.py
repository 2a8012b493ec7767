#!/usr/bin/env python3
"""Trains a Gated PixelCNN of 32 channels and 8 layers on images of 256 levels by PyTorch: the network of this project's run files, AdamW
with a rate that falls to zero along a cosine. Prints one JSON object: bits of a dimension of the test images, and seconds.

    python3 benches/peers/images.py --images train-images-idx3-ubyte --test t10k-images-idx3-ubyte --steps 400

Images of three channels (idx4) are in colour: a mixture of discretised logistics as in PixelCNN++, arXiv:1701.05517.
"""

import argparse
import gzip
import json
import math
import time

import numpy as np
import torch
from train import pixel_cnn

F = torch.nn.functional
COMPONENTS = 5


def read_idx(path):
    data = (gzip.open if path.endswith(".gz") else open)(path, "rb").read()
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape).copy())


def colour_nats(rows, levels):
    """-ln p of every pixel [N] by `rows` [N, 10 K] of its `levels` [N, 3]: K logits, means, scales, coefficients (1,0), (2,0), (2,1)."""
    k, x = COMPONENTS, 2 * levels.float()[:, None] / 255 - 1
    logits, mean, log_scale, a = rows.split([k, 3 * k, 3 * k, 3 * k], 1)
    mean, log_scale, a = mean.view(-1, k, 3), log_scale.view(-1, k, 3).clamp(min=-7), a.view(-1, k, 3).tanh()
    red, green, _ = x.expand(-1, k, 3).unbind(2)
    shift = torch.stack([0 * red, a[..., 0] * red, a[..., 1] * red + a[..., 2] * green], 2)
    centred, inverse = x - mean - shift, (-log_scale).exp()
    upper, lower = inverse * (centred + 1 / 255), inverse * (centred - 1 / 255)
    inside = (torch.sigmoid(upper) - torch.sigmoid(lower)).clamp(min=1e-12).log()
    # Where a bin holds next to nothing its density stands for it.
    middle = inverse * centred
    density = middle - log_scale - 2 * F.softplus(middle) + math.log(2 / 255)
    inside = torch.where(torch.sigmoid(upper) - torch.sigmoid(lower) > 1e-5, inside, density)
    levels = levels[:, None]
    nats = torch.where(levels == 0, F.logsigmoid(upper), torch.where(levels == 255, -F.softplus(lower), inside))
    return -(F.log_softmax(logits, 1) + nats.sum(2)).logsumexp(1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--images", required=True)
    p.add_argument("--test", required=True)
    p.add_argument("--held-out", type=float, default=0.0, help="of --images, at their end, that are not trained on")
    p.add_argument("--test-last", type=int, help="judge by the last so many of --test")
    p.add_argument("--steps", type=int, required=True)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--rate", type=float, default=2e-3)
    p.add_argument("--form", default="nhwc")
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    images, test = read_idx(args.images), read_idx(args.test)
    images = images[: len(images) - int(len(images) * args.held_out)]
    test = test[-args.test_last :] if args.test_last else test
    colour, side = images.dim() == 4, images.shape[1]
    if colour:
        net = pixel_cnn(torch, 32, args.form, side, numbers=3, embedding=4, outputs=10 * COMPONENTS)
    else:
        net = pixel_cnn(torch, 32, args.form, side, symbols=256, embedding=16, outputs=256)

    def nats(x):
        if colour:
            return colour_nats(net(2 * x.float() / 255 - 1), x.flatten(0, 2))
        return F.cross_entropy(net(x.long()), x.long().flatten(), reduction="none")

    optimiser = torch.optim.AdamW(net.parameters(), args.rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda i: min(1, (i + 1) / 50) * (1 + math.cos(math.pi * i / args.steps)) / 2
    )
    began = time.perf_counter()
    for _ in range(args.steps):
        x = images[torch.randint(len(images), (args.batch,))]
        optimiser.zero_grad(set_to_none=True)
        nats(x).mean().backward()
        optimiser.step()
        schedule.step()
    seconds = time.perf_counter() - began
    with torch.no_grad():
        total = sum(nats(x).double().sum().item() for x in test.split(50))
    values = test.numel()
    print(json.dumps({
        "program": f"PyTorch {torch.__version__}", "steps": args.steps, "batch": args.batch, "test_images": len(test),
        "parameters": sum(p.numel() for p in net.parameters()), "seconds": seconds, "bits_per_dimension": total / values / math.log(2),
    }))


if __name__ == "__main__":
    main()
