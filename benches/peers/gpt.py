"""nanoGPT's settings for a CPU on a text, in PyTorch on one thread: 4 layers, 4 heads, 128 wide, context 64, 12 windows a
step, AdamW (0.9, 0.99) with decay 0.1 of every tensor of two dimensions or more, 100 steps of warm-up to 1e-3, half a
cosine to 1e-4, gradients clipped to norm 1, no dropout. Prints a JSON object: CPU seconds of the steps, and the held-out
nats per character over windows of 64 that cover the last tenth of the text, each read from nothing.

    python gpt.py TEXT [STEPS] [--of ALL]      STEPS of the schedule of ALL steps (2000)
"""
import json, math, sys, time

import torch
from train import gpt

ROWS, BATCH = 64, 12


def main():
    args = [a for a in sys.argv[1:] if a != "--of"]
    text = open(args[0], encoding="utf8").read()
    steps = int(args[1]) if len(args) > 1 else 2000
    planned = int(args[2]) if len(args) > 2 else 2000
    torch.set_num_threads(1)
    torch.manual_seed(1337)
    letters = sorted(set(text))
    code = {c: i for i, c in enumerate(letters)}
    data = torch.tensor([code[c] for c in text])
    cut = int(len(data) * 0.9)
    train, held_out = data[:cut], data[cut:]
    net = gpt(torch, len(letters), ROWS, "sdpa")
    for name, p in net.named_parameters():
        if p.dim() > 1:
            scale = (2 * 4) ** -0.5 if name.endswith(("out.weight", "down.weight")) else 1
            torch.nn.init.normal_(p, std=0.02 * scale)
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, 1e-3, (0.9, 0.99), fused=True)
    cpu = time.process_time()
    for step in range(steps):
        done = max(0.0, (step - 100) / (planned - 100))
        rate = 1e-3 * (step + 1) / 101 if step < 100 else 1e-4 + 0.5 * (1 + math.cos(math.pi * done)) * 9e-4
        for group in optimiser.param_groups:
            group["lr"] = rate
        at = torch.randint(len(train) - ROWS, (BATCH,))
        x = torch.stack([train[i : i + ROWS] for i in at])
        y = torch.stack([train[i + 1 : i + 1 + ROWS] for i in at])
        loss = torch.nn.functional.cross_entropy(net(x), y.flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    cpu = time.process_time() - cpu
    windows = (len(held_out) - 1) // ROWS
    x = held_out[: windows * ROWS].view(windows, ROWS)
    y = held_out[1 : windows * ROWS + 1].view(windows, ROWS)
    with torch.inference_mode():
        parts = zip(x.split(128), y.split(128))
        nats = sum(torch.nn.functional.cross_entropy(net(a), b.flatten(), reduction="sum").item() for a, b in parts)
    print(json.dumps({"program": f"PyTorch {torch.__version__}", "steps": steps, "cpu_seconds": cpu,
                      "held_out_nats_windows": nats / (windows * ROWS), "last_loss": loss.item()}))


if __name__ == "__main__":
    main()
