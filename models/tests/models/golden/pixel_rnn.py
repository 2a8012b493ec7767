"""Makes pixel_rnn_row and pixel_rnn_diagonal .safetensors (checkpoints, written by the format's description alone) and
.golden.safetensors: two images, the first of class 1, the second of none; the parameters and nats of each step by PyTorch's
convolutions over the whole image, the diagonal layer over the skewed image as in the paper, and the gradient of the mean nats
by its autograd.

    pip install torch && python3 pixel_rnn.py
"""
import json
import torch
from files import save
from torch.nn import functional as F

HEIGHT, WIDTH, HIDDEN, LAYERS, HEAD, LABELS = 4, 5, 6, 2, 7, 3
STEPS, D = HEIGHT * WIDTH, 2 * HIDDEN
TAPS = [(dy, dx) for dy in (-3, -2, -1) for dx in range(-3, 4)] + [(0, dx) for dx in (-3, -2, -1)]

torch.manual_seed(2016)
torch.set_default_dtype(torch.float64)


def tensor(*shape, std):
    return (torch.randn(shape) * std).float().double().requires_grad_()


def lstm(z, c):
    """z and c with channels first."""
    i, f, g, o = z.chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def by_rows(w, at, r):
    """[H, height, width] from [D, height, width]."""
    entering, recurrent = w[f"{at}.input.weight"], w[f"{at}.recurrent.weight"]
    # Kernels [4H, in, 3]: the masked one has nothing on the right.
    inner = torch.stack([entering[0].T, entering[1].T, torch.zeros(4 * HIDDEN, D)], 2)
    state = recurrent.permute(2, 1, 0)
    h, c, rows = torch.zeros(HIDDEN, WIDTH), torch.zeros(HIDDEN, WIDTH), []
    for y in range(HEIGHT):
        z = F.conv1d(r[:, y][None], inner, padding=1)[0] + F.conv1d(h[None], state, padding=1)[0]
        h, c = lstm(z + w[f"{at}.bias"][:, None], c)
        rows.append(h)
    return torch.stack(rows, 1)


def by_diagonals(w, at, r):
    """The same, from the left, over the skewed image: row y begins y columns later."""
    columns = WIDTH + HEIGHT - 1
    inside = torch.zeros(HEIGHT, columns)
    skewed = torch.zeros(D, HEIGHT, columns)
    for y in range(HEIGHT):
        inside[y, y : y + WIDTH] = 1
        skewed = skewed + F.pad(r[:, y], (y, HEIGHT - 1 - y))[:, None] * (torch.arange(HEIGHT) == y)[None, :, None]
    entering = torch.einsum("dyx,dg->gyx", skewed, w[f"{at}.input.weight"][0])
    # [4H, H, 2]: the row above, then the own one, of the column before.
    state = w[f"{at}.recurrent.weight"].permute(2, 1, 0)
    h, c, out = torch.zeros(HIDDEN, HEIGHT), torch.zeros(HIDDEN, HEIGHT), []
    for x in range(columns):
        z = entering[:, :, x] + F.conv1d(F.pad(h, (1, 0))[None], state)[0] + w[f"{at}.bias"][:, None]
        h, c = lstm(z, c)
        h, c = h * inside[:, x], c * inside[:, x]
        out.append(h)
    out = torch.stack(out, 2)
    return torch.stack([out[:, y, y : y + WIDTH] for y in range(HEIGHT)], 1)


def parameters(w, kind, image, label, classes):
    """[steps, P]"""
    one_hot = F.one_hot(image, classes).double().permute(2, 0, 1)
    kernel = torch.zeros(D, classes, 7, 7)
    for i, (dy, dx) in enumerate(TAPS):
        mask = torch.zeros(7, 7)
        mask[3 + dy, 3 + dx] = 1
        kernel = kernel + w["input.weight"][i].T[:, :, None, None] * mask
    r = F.conv2d(one_hot[None], kernel, padding=3)[0] + w["input.bias"][:, None, None]
    if label is not None:
        r = r + w["input.labels"][label][:, None, None]
    for l in range(LAYERS):
        if kind == "row":
            o = by_rows(w, f"layer.{l}.row", r)
        else:
            right = by_diagonals(w, f"layer.{l}.right", r.flip(2)).flip(2)
            o = by_diagonals(w, f"layer.{l}.left", r) + F.pad(right, (0, 0, 1, 0))[:, :HEIGHT]
        r = r + torch.einsum("hyx,hd->dyx", o, w[f"layer.{l}.output.weight"]) + w[f"layer.{l}.output.bias"][:, None, None]
    rows = r.flatten(1).T
    hidden = torch.relu(torch.relu(rows) @ w["head.0.weight"] + w["head.0.bias"])
    return hidden @ w["head.1.weight"] + w["head.1.bias"]


# The raster from the left bottom upwards, column by column from the left: transposed and reflected.
def turned(t):
    row, column = divmod(t, WIDTH)
    return (WIDTH - 1 - column) * HEIGHT + row


for kind, classes in ("row", 2), ("diagonal", 4):
    params, likelihood = (1, {"likelihood": {"name": "bernoulli"}}) if classes == 2 else (classes, {})
    w = {"input.weight": tensor(24, classes, D, std=0.3), "input.bias": tensor(D, std=0.5)}
    w["input.labels"] = tensor(LABELS, D, std=1)
    for l in range(LAYERS):
        for name, inputs, places in [("row", 2, 3)] if kind == "row" else [("left", 1, 2), ("right", 1, 2)]:
            w[f"layer.{l}.{name}.input.weight"] = tensor(inputs, D, 4 * HIDDEN, std=0.3)
            w[f"layer.{l}.{name}.recurrent.weight"] = tensor(places, HIDDEN, 4 * HIDDEN, std=0.3)
            w[f"layer.{l}.{name}.bias"] = tensor(4 * HIDDEN, std=0.5)
        w[f"layer.{l}.output.weight"] = tensor(HIDDEN, D, std=0.5)
        w[f"layer.{l}.output.bias"] = tensor(D, std=0.5)
    w |= {"head.0.weight": tensor(D, HEAD, std=0.4), "head.0.bias": tensor(HEAD, std=0.5)}
    w |= {"head.1.weight": tensor(HEAD, params, std=0.5), "head.1.bias": tensor(params, std=0.5)}
    # The images of the grid are as wide as the network's raster is high.
    config = {"classes": classes, "start": 0, "kind": kind, "hidden": HIDDEN, "layers": LAYERS, "head": HEAD,
              "labels": LABELS, "grid": {"height": WIDTH, "width": HEIGHT},
              "order": {"sites": {"sites": [turned(t) for t in range(STEPS)]}}, **likelihood}
    header = {"version": 1, "family": "pixel_rnn", "config": config}
    save(f"pixel_rnn_{kind}.safetensors", w, {"wavesynth": json.dumps(header)})
    images = torch.randint(0, classes, (2, HEIGHT, WIDTH))
    rows = torch.cat([parameters(w, kind, image, label, classes) for image, label in zip(images, [1, None])])
    symbols = images.flatten()
    if params == 1:
        nats = F.binary_cross_entropy_with_logits(rows[:, 0], symbols.double(), reduction="none")
    else:
        nats = F.cross_entropy(rows, symbols, reduction="none")
    nats.mean().backward()
    golden = {"symbols": symbols.double(), "logits": rows, "nats": nats}
    save(f"pixel_rnn_{kind}.golden.safetensors", golden | {f"gradient.{k}": v.grad for k, v in w.items()})
    print(f"{kind}: logits from {rows.min():.2f} to {rows.max():.2f}, {nats.mean():.4f} nats a symbol")
