"""Makes wavenet.safetensors (a checkpoint, written by the format's description alone) and wavenet.golden.safetensors
(symbols, conditioning frames and the logits that follow), in plain numpy and double precision: one row at a time from
the whole past, with no queue, no packing and no library of networks.

    pip install numpy safetensors && python3 wavenet.py
"""
import json
import numpy as np
from safetensors.numpy import save_file

CLASSES, R, D, S, A, K = 20, 5, 7, 6, 9, 3
DILATIONS = [1, 2, 4, 1, 3]
SPEAKERS, E, F, CONTEXT, H, HOP = 2, 3, 2, 1, 4, 4
START, T = 10, 70
LOCAL = 1 + F * (2 * CONTEXT + 1)

rng = np.random.default_rng(20161)
tensors = {}


def tensor(name, *shape):
    fan_in = int(np.prod(shape[:-1])) or 1
    tensors[name] = (rng.standard_normal(shape) * 1.3 / np.sqrt(max(fan_in, 3))).astype(np.float32)


tensor("input.embed", CLASSES, R)
tensor("cond.speakers", SPEAKERS, E)
for i, n in enumerate([E + LOCAL, H]):
    tensor(f"cond.hidden.{i}.weight", n, H)
    tensor(f"cond.hidden.{i}.bias", H)
for l in range(len(DILATIONS)):
    tensor(f"layer.{l}.gate.weight", K, R, 2 * D)
    tensor(f"layer.{l}.gate.bias", 2 * D)
    tensor(f"layer.{l}.cond.weight", H, 2 * D)
    if l + 1 < len(DILATIONS):
        tensor(f"layer.{l}.residual.weight", D, R)
        tensor(f"layer.{l}.residual.bias", R)
    tensor(f"layer.{l}.skip.weight", D, S)
tensor("skip.bias", S)
tensor("head.0.weight", S, A)
tensor("head.0.bias", A)
tensor("head.1.weight", A, CLASSES)
tensor("head.1.bias", CLASSES)

header = {
    "version": 1,
    "family": "wavenet",
    "config": {
        "classes": CLASSES, "start": START, "residual_channels": R, "gate_channels": D, "skip_channels": S,
        "head_channels": A, "kernel_size": K, "dilations": DILATIONS,
        "condition": {"speakers": SPEAKERS, "speaker_dim": E, "features": F, "context": CONTEXT, "hidden": H,
                      "hop": HOP},
    },
}
save_file(tensors, "wavenet.safetensors", metadata={"wavesynth": json.dumps(header)})

w = {k: v.astype(np.float64) for k, v in tensors.items()}
symbols = rng.integers(0, CLASSES, T)
track = rng.standard_normal((-(-T // HOP), F)).astype(np.float32)
speaker = w["cond.speakers"][1]


def frame(i):
    """Speaker vector, the flag that there are features, features of frames i-C … i+C, edges held."""
    rows = [track[min(max(i + c, 0), len(track) - 1)] for c in range(-CONTEXT, CONTEXT + 1)]
    return np.concatenate([speaker, [1.0], *rows])


def condition(i):
    c = frame(i)
    for j in range(2):
        c = np.tanh(c @ w[f"cond.hidden.{j}.weight"] + w[f"cond.hidden.{j}.bias"])
    return c


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


inputs = np.concatenate([[START], symbols[:-1]])
stream = [w["input.embed"][x] for x in inputs]
skips = [w["skip.bias"].copy() for _ in range(T)]
for l, d in enumerate(DILATIONS):
    following = []
    for t in range(T):
        z = w[f"layer.{l}.gate.bias"] + condition(t // HOP) @ w[f"layer.{l}.cond.weight"]
        for k in range(K):
            past = t - (K - 1 - k) * d
            if past >= 0:
                z = z + stream[past] @ w[f"layer.{l}.gate.weight"][k]
        h = np.tanh(z[:D]) * sigmoid(z[D:])
        skips[t] = skips[t] + h @ w[f"layer.{l}.skip.weight"]
        if l + 1 < len(DILATIONS):
            following.append(stream[t] + h @ w[f"layer.{l}.residual.weight"] + w[f"layer.{l}.residual.bias"])
    stream = following
relu = lambda x: np.maximum(x, 0)
logits = np.stack([relu(relu(s) @ w["head.0.weight"] + w["head.0.bias"]) @ w["head.1.weight"] + w["head.1.bias"]
                   for s in skips])
peak = logits.max(1)
nats = peak + np.log(np.exp(logits - peak[:, None]).sum(1)) - logits[np.arange(T), symbols]
save_file(
    {
        "symbols": symbols.astype(np.float32),
        "frames": np.stack([frame(i) for i in range(len(track))]).astype(np.float32),
        "logits": logits.astype(np.float32),
        "nats": nats.astype(np.float32),
    },
    "wavenet.golden.safetensors",
)
print(f"{T} rows, logits from {logits.min():.2f} to {logits.max():.2f}, {nats.mean():.4f} nats a symbol")
