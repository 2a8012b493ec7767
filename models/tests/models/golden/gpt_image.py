"""Makes gpt_image.safetensors (a checkpoint, written by the format's description alone) and gpt_image.golden.safetensors: two
images, the first of class 1, the second of none; the parameters and nats of each step with PyTorch's own layers, every
step from a crop of its own, and the gradient of the mean nats by its autograd.

    pip install torch && python3 gpt_image.py
"""
import json
import torch
from files import save
from torch.nn import functional as F

HEIGHT, WIDTH, LEVELS, LAYERS, HEADS, MODEL, LABELS, COMPONENTS = 3, 4, 16, 2, 2, 12, 3, 2
STEPS, START = HEIGHT * WIDTH, 0

torch.manual_seed(2020)
torch.set_default_dtype(torch.float64)


def tensor(*shape, std=None, mean=0.0):
    std = std or 1 / shape[0] ** 0.5
    return (mean + torch.randn(shape) * std).float().double().requires_grad_()


w = {"input.embed": tensor(1, MODEL, std=0.7), "input.labels": tensor(LABELS, MODEL, std=0.7)}
for which in ["", "entering."]:
    w[f"input.{which}row"] = tensor(HEIGHT, MODEL, std=0.7)
    w[f"input.{which}column"] = tensor(WIDTH, MODEL, std=0.7)
norms = ["output.norm"]
for l in range(LAYERS):
    for at, name, inputs, outputs in [("attention", "qkv", MODEL, 3 * MODEL), ("attention", "out", MODEL, MODEL),
                                      ("mlp", "up", MODEL, 4 * MODEL), ("mlp", "down", 4 * MODEL, MODEL)]:
        w[f"layer.{l}.{at}.{name}.weight"] = tensor(inputs, outputs)
        w[f"layer.{l}.{at}.{name}.bias"] = tensor(outputs, std=0.3)
    norms += [f"layer.{l}.attention.norm", f"layer.{l}.mlp.norm"]
for at in norms:
    w[f"{at}.weight"], w[f"{at}.bias"] = tensor(MODEL, std=0.3, mean=1.0), tensor(MODEL, std=0.3)
w["output.head.weight"] = tensor(MODEL, 3 * COMPONENTS)

sites = torch.randperm(STEPS).tolist()
config = {"classes": LEVELS, "start": START, "layers": LAYERS, "heads": HEADS, "width": MODEL, "context": STEPS,
          "bias": True, "tied_head": False, "labels": LABELS, "order": {"sites": {"sites": sites}},
          "likelihood": {"name": "logistic_mixture", "components": COMPONENTS, "channels": 1, "levels": LEVELS},
          "positions": {"grid": {"height": HEIGHT, "width": WIDTH}}}
header = {"version": 1, "family": "gpt", "config": config}
save("gpt_image.safetensors", w, {"wavesynth": json.dumps(header)})


def normed(x, at):
    return F.layer_norm(x, (MODEL,), w[f"{at}.weight"], w[f"{at}.bias"], 1e-5)


def affine(x, at):
    return F.linear(x, w[f"{at}.weight"].T, w[f"{at}.bias"])


def numbers(levels):
    return 2 * levels / (LEVELS - 1) - 1


def last_row(inputs, label):
    """The parameters behind the last of some inputs."""
    rows = []
    for p, x in enumerate(inputs):
        y, x_ = divmod(sites[p], WIDTH)
        r = numbers(x) * w["input.embed"][0] + w["input.row"][y] + w["input.column"][x_]
        if p > 0:
            y, x_ = divmod(sites[p - 1], WIDTH)
            r = r + w["input.entering.row"][y] + w["input.entering.column"][x_]
        rows.append(r if label is None else r + w["input.labels"][label])
    x, t = torch.stack(rows), len(rows)
    for l in range(LAYERS):
        at = f"layer.{l}.attention"
        q, k, v = affine(normed(x, f"{at}.norm"), f"{at}.qkv").split(MODEL, dim=1)
        q, k, v = (part.view(1, t, HEADS, MODEL // HEADS).transpose(1, 2) for part in (q, k, v))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + affine(a.transpose(1, 2).reshape(t, MODEL), f"{at}.out")
        at = f"layer.{l}.mlp"
        x = x + affine(F.gelu(affine(normed(x, f"{at}.norm"), f"{at}.up")), f"{at}.down")
    return normed(x, "output.norm")[-1] @ w["output.head.weight"]


def nats_of(row, level):
    logits, mean, log_scale = row.split(COMPONENTS)
    scale, half = log_scale.clamp(-7 - torch.log(torch.tensor((LEVELS - 1) / 255)), 15).exp(), 1 / (LEVELS - 1)
    high = torch.sigmoid((numbers(level) + half - mean) / scale) if level < LEVELS - 1 else torch.ones(COMPONENTS)
    low = torch.sigmoid((numbers(level) - half - mean) / scale) if level > 0 else torch.zeros(COMPONENTS)
    return -(torch.log_softmax(logits, 0) + (high - low).log()).logsumexp(0)


symbols = torch.randint(0, LEVELS, (2, STEPS))
rows, nats = [], []
for image, label in zip(symbols.tolist(), [1, None]):
    for t, x in enumerate(image):
        rows.append(last_row([START, *image[:t]], label))
        nats.append(nats_of(rows[-1], x))
rows, nats = torch.stack(rows), torch.stack(nats)
nats.mean().backward()
golden = {"symbols": symbols.double(), "logits": rows, "nats": nats}
save("gpt_image.golden.safetensors", golden | {f"gradient.{k}": v.grad for k, v in w.items()})
print(f"parameters from {rows.min():.2f} to {rows.max():.2f}, {nats.mean():.4f} nats a symbol")
