"""Makes gpt.safetensors (a checkpoint, written by the format's description alone) and gpt.golden.safetensors (symbols
and the logits that follow) with PyTorch's own layers in double precision: every row from its crop of the text, with no
cache. Past the context the crop is that of the first window that holds the row; windows start every ceil(C / 2) rows.

    pip install torch numpy safetensors && python3 gpt.py
"""
import json
import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn import functional as F

CLASSES, LAYERS, HEADS, WIDTH, CONTEXT = 19, 2, 3, 15, 11
START, T = 4, 50

rng = np.random.default_rng(20193)
tensors = {}


def tensor(name, *shape, std=None, mean=0.0):
    std = std or 1.2 / np.sqrt(shape[0])
    tensors[name] = (mean + rng.standard_normal(shape) * std).astype(np.float32)


def norm(at):
    tensor(f"{at}.norm.weight", WIDTH, std=0.3, mean=1.0)
    tensor(f"{at}.norm.bias", WIDTH, std=0.3)


def product(at, inputs, outputs):
    tensor(f"{at}.weight", inputs, outputs)
    tensor(f"{at}.bias", outputs, std=0.3)


# Small, as training starts from them: the first norm's epsilon is then seen in the logits.
tensor("input.embed", CLASSES, WIDTH, std=0.02)
tensor("input.position", CONTEXT, WIDTH, std=0.02)
tensor("output.head.weight", WIDTH, CLASSES)
for l in range(LAYERS):
    norm(f"layer.{l}.attention")
    product(f"layer.{l}.attention.qkv", WIDTH, 3 * WIDTH)
    product(f"layer.{l}.attention.out", WIDTH, WIDTH)
    norm(f"layer.{l}.mlp")
    product(f"layer.{l}.mlp.up", WIDTH, 4 * WIDTH)
    product(f"layer.{l}.mlp.down", 4 * WIDTH, WIDTH)
norm("output")

header = {
    "version": 1,
    "family": "gpt",
    "config": {"classes": CLASSES, "start": START, "layers": LAYERS, "heads": HEADS, "width": WIDTH,
               "context": CONTEXT, "bias": True, "tied_head": False},
}
save_file(tensors, "gpt.safetensors", metadata={"wavesynth": json.dumps(header)})

w = {name: torch.from_numpy(t).double() for name, t in tensors.items()}


def normed(x, at):
    return F.layer_norm(x, (WIDTH,), w[f"{at}.norm.weight"], w[f"{at}.norm.bias"], 1e-5)


def affine(x, at):
    return F.linear(x, w[f"{at}.weight"].T, w[f"{at}.bias"])


def forward(symbols):
    """Logits of every row of one crop."""
    t = len(symbols)
    x = F.embedding(torch.tensor(symbols), w["input.embed"]) + w["input.position"][:t]
    for l in range(LAYERS):
        at = f"layer.{l}.attention"
        q, k, v = affine(normed(x, at), f"{at}.qkv").split(WIDTH, dim=1)
        q, k, v = (p.view(1, t, HEADS, WIDTH // HEADS).transpose(1, 2) for p in (q, k, v))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + affine(a.transpose(1, 2).reshape(t, WIDTH), f"{at}.out")
        at = f"layer.{l}.mlp"
        x = x + affine(F.gelu(affine(normed(x, at), f"{at}.up")), f"{at}.down")
    return normed(x, "output") @ w["output.head.weight"]


symbols = rng.integers(0, CLASSES, T)
inputs = [START, *symbols[:-1].tolist()]
stride = -(-CONTEXT // 2)
logits = []
for t in range(T):
    start = 0
    while start + CONTEXT <= t:
        start += stride
    logits.append(forward(inputs[start:t + 1])[-1].numpy())
logits = np.stack(logits)
nats = -torch.log_softmax(torch.from_numpy(logits), 1).numpy()[np.arange(T), symbols]
save_file(
    {
        "symbols": symbols.astype(np.float32),
        "logits": logits.astype(np.float32),
        "nats": nats.astype(np.float32),
    },
    "gpt.golden.safetensors",
)
print(f"{T} rows, logits from {logits.min():.2f} to {logits.max():.2f}, {nats.mean():.4f} nats a symbol")
