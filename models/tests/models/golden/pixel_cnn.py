"""Makes pixel_cnn and pixel_cnn_spiral .safetensors (checkpoints, written by the format's description alone) and
.golden.safetensors: symbols, PyTorch's parameters and nats, and the gradient of the mean nats by its autograd.

The first is a Gated PixelCNN over a raster with a class, by PyTorch's convolutions with the kernels masked as in the paper;
the second one over a spiral with black and white pixels, by loops over steps and taps.

    pip install torch && python3 pixel_cnn.py
"""
import json

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d, cross_entropy

from files import save

HEIGHT, WIDTH, LAYERS, CHANNELS, EMBEDDING, HEAD, LABEL = 5, 6, 3, 5, 3, 7, 2
N = HEIGHT * WIDTH


def invent(shapes):
    """Parameters whose values 32-bit floats have."""
    def one(shape):
        inputs = max(4, torch.Size(shape[:-1]).numel())
        return (torch.randn(shape) * 1.8 / inputs**0.5).float().double().requires_grad_()
    return {name: one(shape) for name, shape in shapes.items()}


def table(classes, params, labels, taps):
    """Names and shapes; `taps` is the number of them by stack, in the first layer and the others."""
    shapes = {"input.embed": (classes, EMBEDDING)}
    for l in range(LAYERS):
        for stack in "vertical", "horizontal":
            inputs = taps[stack][min(l, 1)] * (EMBEDDING if l == 0 else CHANNELS)
            shapes[f"layer.{l}.{stack}.weight"] = (inputs, 2 * CHANNELS)
            shapes[f"layer.{l}.{stack}.bias"] = (2 * CHANNELS,)
            if labels:
                shapes[f"layer.{l}.{stack}.class"] = (labels, 2 * CHANNELS)
        shapes[f"layer.{l}.vertical_to_horizontal.weight"] = (2 * CHANNELS, 2 * CHANNELS)
        shapes[f"layer.{l}.residual.weight"] = (CHANNELS, CHANNELS)
        shapes[f"layer.{l}.residual.bias"] = (CHANNELS,)
    for i, (a, b) in enumerate([(CHANNELS, HEAD), (HEAD, params)]):
        shapes[f"head.{i}.weight"], shapes[f"head.{i}.bias"] = (a, b), (b,)
    return shapes


def head(p, h):
    for i in range(2):
        h = torch.relu(h) @ p[f"head.{i}.weight"] + p[f"head.{i}.bias"]
    return h


def raster(p, x, kernels):
    """Parameters [N, P] of the image x [N], all pixels at once."""
    def masked(name, kernel, inputs, keeps):
        """A kernel for conv2d whose taps, by row and column, are those that `keeps` names."""
        half = kernel // 2
        places = [(r, c) for r in range(kernel) for c in range(kernel) if keeps(r - half, c - half)]
        weight = torch.zeros(2 * CHANNELS, inputs, kernel, kernel)
        for part, (r, c) in zip(p[name].split(inputs), places, strict=True):
            weight = weight.clone()
            weight[:, :, r, c] = part.T
        return weight

    def gate(z):
        return torch.tanh(z[:CHANNELS]) * torch.sigmoid(z[CHANNELS:])

    def rows(z):
        return z.flatten(1).T

    e = p["input.embed"][x].T.reshape(EMBEDDING, HEIGHT, WIDTH)
    v = h = e
    for l in range(LAYERS):
        first = l == 0
        kernel, inputs = kernels[min(l, 1)], EMBEDDING if first else CHANNELS
        above = masked(f"layer.{l}.vertical.weight", kernel, inputs, lambda r, c: r < 0 or (r == 0 and not first))
        left = masked(f"layer.{l}.horizontal.weight", kernel, inputs, lambda r, c: r == 0 and (c < 0 or (c == 0 and not first)))
        bias = {s: (p[f"layer.{l}.{s}.bias"] + p[f"layer.{l}.{s}.class"][LABEL])[:, None, None] for s in ("vertical", "horizontal")}
        a = conv2d(v[None], above, padding=kernel // 2)[0] + bias["vertical"]
        between = (rows(a) @ p[f"layer.{l}.vertical_to_horizontal.weight"]).T.reshape(a.shape)
        z = conv2d(h[None], left, padding=kernel // 2)[0] + between + bias["horizontal"]
        out = (rows(gate(z)) @ p[f"layer.{l}.residual.weight"] + p[f"layer.{l}.residual.bias"]).T.reshape(CHANNELS, HEIGHT, WIDTH)
        v, h = gate(a) + (0 if first else v), out + (0 if first else h)
    return head(p, rows(h))


SPIRAL = [0, 1, 2, 3, 4, 5, 11, 17, 23, 29, 28, 27, 26, 25, 24, 18, 12, 6, 7, 8, 9, 10, 16, 22, 21, 20, 19, 13, 14, 15]
# The sides; 16 and 22, two in a row, are no line.
LINES = [range(0, 6), range(6, 10), range(10, 15), range(15, 18), range(18, 22), range(22, 23), range(23, 27), range(27, 30)]


def spiral_taps(kernel, first, stack):
    """The taps that some step reads, and for each step what each reads: a step, or None."""
    line_of = {t: i for i, line in enumerate(LINES) for t in line}
    half, step_of = kernel // 2, {divmod(site, WIDTH): t for t, site in enumerate(SPIRAL)}

    def reads(t, u):
        if u is None:
            return False
        same = line_of[u] == line_of[t]
        if stack == "vertical":
            return line_of[u] < line_of[t] or (same and not first)
        return same and (u < t or (u == t and not first))

    def step(t, dy, dx):
        y, x = divmod(SPIRAL[t], WIDTH)
        u = step_of.get((y + dy, x + dx))
        return u if reads(t, u) else None

    window = [(dy, dx) for dy in range(-half, half + 1) for dx in range(-half, half + 1)]
    taps = [tap for tap in window if any(step(t, *tap) is not None for t in range(N))]
    return [[step(t, *tap) for tap in taps] for t in range(N)]


def spiral(p, x, kernels):
    """Parameters [N, P] of the pixels x [N] in the order of the steps, step by step."""
    def sums(stack, l, rows):
        inputs = rows[0].shape[0]
        parts = p[f"layer.{l}.{stack}.weight"].split(inputs)
        for step in spiral_taps(kernels[min(l, 1)], l == 0, stack):
            z = p[f"layer.{l}.{stack}.bias"]
            for u, part in zip(step, parts, strict=True):
                if u is not None:
                    z = z + rows[u] @ part
            yield z

    def gate(z):
        return torch.tanh(z[:CHANNELS]) * torch.sigmoid(z[CHANNELS:])

    v = h = [p["input.embed"][s] for s in x]
    for l in range(LAYERS):
        a = list(sums("vertical", l, v))
        z = [z + a @ p[f"layer.{l}.vertical_to_horizontal.weight"] for z, a in zip(sums("horizontal", l, h), a)]
        out = [gate(z) @ p[f"layer.{l}.residual.weight"] + p[f"layer.{l}.residual.bias"] for z in z]
        gated = [gate(a) for a in a]
        v, h = (gated, out) if l == 0 else ([g + v for g, v in zip(gated, v)], [o + h for o, h in zip(out, h)])
    return head(p, torch.stack(h))


def write(name, config, p, x, rows, nats):
    nats.mean().backward()
    sizes = {"layers": LAYERS, "channels": CHANNELS, "embedding": EMBEDDING, "head_channels": HEAD}
    config = {"start": 1, "grid": {"height": HEIGHT, "width": WIDTH}} | sizes | config
    save(f"{name}.safetensors", p, {"wavesynth": json.dumps({"version": 1, "family": "pixel_cnn", "config": config})})
    gradients = {f"gradient.{k}": v.grad for k, v in p.items()}
    save(f"{name}.golden.safetensors", {"symbols": x.double(), "logits": rows, "nats": nats} | gradients)
    print(f"{name}: parameters from {rows.min():.2f} to {rows.max():.2f}, {nats.mean():.4f} nats a pixel")


torch.manual_seed(2016)
torch.set_default_dtype(torch.float64)
CLASSES, LABELS = 4, 3
p = invent(table(CLASSES, CLASSES, LABELS, {"vertical": (10, 6), "horizontal": (2, 2)}))
x = torch.randint(0, CLASSES, (N,))
rows = raster(p, x, (5, 3))
config = {"classes": CLASSES, "labels": LABELS, "first_kernel": 5, "kernel": 3, "order": {"sites": {"sites": list(range(N))}}}
write("pixel_cnn", config, p, x, rows, cross_entropy(rows, x, reduction="none"))

kernels = (7, 3)
count = {s: tuple(len(spiral_taps(k, i == 0, s)[0]) for i, k in enumerate(kernels)) for s in ("vertical", "horizontal")}
p = invent(table(2, 1, 0, count))
x = torch.randint(0, 2, (N,))
rows = spiral(p, x, kernels)
config = {"classes": 2, "likelihood": {"name": "bernoulli"}, "first_kernel": 7, "kernel": 3, "order": {"sites": {"sites": SPIRAL}}}
write("pixel_cnn_spiral", config, p, x, rows, binary_cross_entropy_with_logits(rows[:, 0], x.double(), reduction="none"))
