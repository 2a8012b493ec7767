"""Makes char_rnn_lstm, char_rnn_gru and char_rnn_given .safetensors (checkpoints, written by the format's description alone) and
.golden.safetensors: symbols, PyTorch's logits and nats, and the gradient of the mean nats by its autograd.

    pip install torch && python3 char_rnn.py
"""
import json
import torch
from files import save

CLASSES, HIDDEN, LAYERS, START, T = 13, 7, 3, 5, 40


def checkpoint_tensors(cell, rnn, head, of):
    """The checkpoint's tensors from PyTorch's, `of` being the identity or the gradient. The biases that PyTorch keeps
    twice are added up; their gradients are equal, so either one is that of the sum."""
    out = {}
    for l in range(LAYERS):
        p = {k: of(getattr(rnn, f"{k}_l{l}")) for k in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]}
        out[f"layer.{l}.input.weight"] = p["weight_ih"].T
        out[f"layer.{l}.recurrent.weight"] = p["weight_hh"].T
        twice = 4 * HIDDEN if cell == "lstm" else 2 * HIDDEN
        bias = p["bias_ih"].clone()
        if of is value:
            bias[:twice] += p["bias_hh"][:twice]
        out[f"layer.{l}.bias"] = bias
        if cell == "gru":
            out[f"layer.{l}.candidate.bias"] = p["bias_hh"][twice:]
    out["head.weight"], out["head.bias"] = of(head.weight).T, of(head.bias)
    return out


def value(p):
    return p.detach()


def gradient(p):
    return p.grad


torch.manual_seed(1997)
torch.set_default_dtype(torch.float64)
for cell, family in [("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU)]:
    rnn, head = family(CLASSES, HIDDEN, LAYERS), torch.nn.Linear(HIDDEN, CLASSES)
    with torch.no_grad():
        for p in [*rnn.parameters(), *head.parameters()]:
            p.copy_(torch.randn_like(p).float() * 0.6)
    symbols = torch.randint(0, CLASSES, (T,))
    inputs = torch.cat([torch.tensor([START]), symbols[:-1]])
    hidden, _ = rnn(torch.nn.functional.one_hot(inputs, CLASSES).double())
    logits = head(hidden)
    nats = torch.nn.functional.cross_entropy(logits, symbols, reduction="none")
    nats.mean().backward()
    config = {"classes": CLASSES, "start": START, "cell": cell, "hidden": HIDDEN, "layers": LAYERS}
    header = {"version": 1, "family": "char_rnn", "config": config}
    tensors = checkpoint_tensors(cell, rnn, head, value)
    save(f"char_rnn_{cell}.safetensors", tensors, {"wavesynth": json.dumps(header)})
    gradients = checkpoint_tensors(cell, rnn, head, gradient)
    golden = {"symbols": symbols.double(), "logits": logits, "nats": nats}
    save(f"char_rnn_{cell}.golden.safetensors", golden | {f"gradient.{k}": v for k, v in gradients.items()})
    print(f"{cell}: logits from {logits.min():.2f} to {logits.max():.2f}, {nats.mean():.4f} nats a symbol")

# An LSTM that is given numbers for every step: columns of PyTorch's input beside the one-hot symbol.
GIVEN = 4
rnn, head = torch.nn.LSTM(CLASSES + GIVEN, HIDDEN, LAYERS), torch.nn.Linear(HIDDEN, CLASSES)
with torch.no_grad():
    for p in [*rnn.parameters(), *head.parameters()]:
        p.copy_(torch.randn_like(p).float() * 0.6)
symbols, given = torch.randint(0, CLASSES, (T,)), torch.randn(T, GIVEN).float().double()
inputs = torch.cat([torch.tensor([START]), symbols[:-1]])
hidden, _ = rnn(torch.cat([torch.nn.functional.one_hot(inputs, CLASSES).double(), given], 1))
logits = head(hidden)
nats = torch.nn.functional.cross_entropy(logits, symbols, reduction="none")
tensors = checkpoint_tensors("lstm", rnn, head, value)
both = tensors["layer.0.input.weight"]
tensors["layer.0.input.weight"], tensors["condition.weight"] = both[:CLASSES], both[CLASSES:]
config = {"classes": CLASSES, "start": START, "cell": "lstm", "hidden": HIDDEN, "layers": LAYERS}
header = {"version": 1, "family": "char_rnn", "config": config | {"condition": {"features": GIVEN}}}
save("char_rnn_given.safetensors", tensors, {"wavesynth": json.dumps(header)})
save("char_rnn_given.golden.safetensors", {"symbols": symbols.double(), "given": given, "logits": logits, "nats": nats})
