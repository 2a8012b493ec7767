"""Makes made.safetensors (a checkpoint, written by the format's description alone) and made.golden.safetensors: two
sequences, the first of class 1, the second of none; the parameters and nats of each step by PyTorch, every step from a
network of its own that has the units of its degrees alone, and the gradient of the mean nats by its autograd.

    pip install torch && python3 made.py
"""
import json
import torch
from files import save

HEIGHT, WIDTH, HIDDEN, LABELS = 3, 3, [20, 11], 3
STEPS = HEIGHT * WIDTH

torch.manual_seed(1999)
torch.set_default_dtype(torch.float64)


def tensor(*shape, std):
    return (torch.randn(shape) * std).float().double().requires_grad_()


w = {
    "layer.0.weight": tensor(STEPS - 1, 2, HIDDEN[0], std=0.5),
    "layer.0.bias": tensor(HIDDEN[0], std=0.5),
    "layer.1.weight": tensor(HIDDEN[0], HIDDEN[1], std=0.4),
    "layer.1.bias": tensor(HIDDEN[1], std=0.5),
    "output.weight": tensor(HIDDEN[1], STEPS, std=0.7),
    "output.bias": tensor(STEPS, std=0.5),
    "direct.weight": tensor(STEPS - 1, 2, STEPS, std=0.5),
    "layer.0.labels": tensor(LABELS, HIDDEN[0], std=1),
    "output.labels": tensor(LABELS, STEPS, std=1),
}
sites = torch.randperm(STEPS).tolist()
config = {"classes": 2, "start": 0, "hidden": HIDDEN, "direct": True, "labels": LABELS,
          "likelihood": {"name": "bernoulli"}, "order": {"sites": {"sites": sites}}}
header = {"version": 1, "family": "made", "config": config}
save("made.safetensors", w, {"wavesynth": json.dumps(header)})


def degrees(units):
    return torch.tensor([STEPS - 1 - (units - 1 - k) * (STEPS - 1) // units for k in range(units)])


m = [degrees(units) for units in HIDDEN]
symbols = torch.randint(0, 2, (2, STEPS))
rows = []
for sequence, label in zip(symbols, [1, None]):
    for t in range(STEPS):
        h = [None, None]
        for l, units in enumerate(HIDDEN):
            values = []
            for k in range(units):
                a = w[f"layer.{l}.bias"][k]
                if l == 0:
                    a = a + sum(w["layer.0.weight"][s, sequence[s], k] for s in range(m[0][k]))
                    a = a + (w["layer.0.labels"][label, k] if label is not None else 0)
                else:
                    below = m[0] <= m[1][k]
                    a = a + h[0][below] @ w["layer.1.weight"][below, k]
                values.append(torch.relu(a))
            h[l] = torch.stack(values)
        seen = m[1] <= t
        out = w["output.bias"][t] + h[1][seen] @ w["output.weight"][seen, t]
        out = out + sum(w["direct.weight"][s, sequence[s], t] for s in range(t))
        rows.append(out + (w["output.labels"][label, t] if label is not None else 0))
rows = torch.stack(rows)
nats = torch.nn.functional.binary_cross_entropy_with_logits(rows, symbols.flatten().double(), reduction="none")
nats.mean().backward()
golden = {"symbols": symbols.double(), "logits": rows, "nats": nats}
save("made.golden.safetensors", golden | {f"gradient.{k}": v.grad for k, v in w.items()})
print(f"logits from {rows.min():.2f} to {rows.max():.2f}, {nats.mean():.4f} nats a symbol")
