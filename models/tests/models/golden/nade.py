"""Makes nade.safetensors (a checkpoint, written by the format's description alone) and nade.golden.safetensors: two
sequences, the first of class 1, the second of none; the parameters and nats of each step by PyTorch, every step from the
variables before it alone, and the gradient of the mean nats by its autograd.

    pip install torch && python3 nade.py
"""
import json
import torch
from files import save

HEIGHT, WIDTH, HIDDEN, LABELS, CLASSES = 3, 4, 9, 3, 5
STEPS = HEIGHT * WIDTH

torch.manual_seed(2011)
torch.set_default_dtype(torch.float64)


def tensor(*shape, std):
    return (torch.randn(shape) * std).float().double().requires_grad_()


w = {
    "hidden.bias": tensor(HIDDEN, std=0.5),
    "hidden.labels": tensor(LABELS, HIDDEN, std=1),
    "hidden.weight": tensor(STEPS - 1, CLASSES, HIDDEN, std=0.5),
    "output.weight": tensor(STEPS, CLASSES, HIDDEN, std=0.7),
    "output.bias": tensor(STEPS, CLASSES, std=0.5),
}
sites = torch.randperm(STEPS).tolist()
config = {"classes": CLASSES, "start": 2, "hidden": HIDDEN, "labels": LABELS, "order": {"sites": {"sites": sites}}}
header = {"version": 1, "family": "nade", "config": config}
save("nade.safetensors", w, {"wavesynth": json.dumps(header)})

symbols = torch.randint(0, CLASSES, (2, STEPS))
rows = []
for sequence, label in zip(symbols, [w["hidden.labels"][1], 0]):
    for t in range(STEPS):
        a = w["hidden.bias"] + label
        for s in range(t):
            a = a + w["hidden.weight"][s, sequence[s]]
        rows.append(w["output.weight"][t] @ torch.sigmoid(a) + w["output.bias"][t])
rows = torch.stack(rows)
nats = torch.nn.functional.cross_entropy(rows, symbols.flatten(), reduction="none")
nats.mean().backward()
golden = {"symbols": symbols.double(), "logits": rows, "nats": nats}
save("nade.golden.safetensors", golden | {f"gradient.{k}": v.grad for k, v in w.items()})
print(f"logits from {rows.min():.2f} to {rows.max():.2f}, {nats.mean():.4f} nats a symbol")
