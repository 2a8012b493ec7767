"""PyTorch drawing images of 28 x 28 black and white pixels as the papers' own programs do: for every pixel one forward pass over the
whole image, batch 1, f32, one thread. The networks are those of examples/train/images-*.toml, with random weights.

    pixels.py FAMILY SECONDS                one JSON line: seconds of a pass, which gives one pixel
    pixels.py table RAW.jsonl OUT.md        medians over rounds, beside the program's own lines in RAW
"""
import json
import statistics
import sys
import time

SIDE = 28
PIXELS = SIDE * SIDE


def nade(torch):
    """NADE: every hidden state by a sum over the pixels before it."""
    hidden = 500
    w, v, b, c = (torch.randn(*s) * 0.05 for s in ((PIXELS, hidden), (PIXELS, hidden), (PIXELS,), (hidden,)))

    def forward(x):
        before = torch.cumsum(x[:, None] * w, 0) - x[:, None] * w
        return (torch.sigmoid(before + c) * v).sum(1) + b

    return forward, torch.rand(PIXELS).round()


def made(torch):
    """The masked perceptron: two masked products."""
    hidden = 4000
    first = torch.nn.Linear(PIXELS, hidden)
    last = torch.nn.Linear(hidden, PIXELS)
    return (lambda x: last(torch.relu(first(x)))), torch.rand(1, PIXELS).round()


def lstm(torch):
    """A raster LSTM, two layers of 192."""
    cells, head = torch.nn.LSTM(2, 192, 2, batch_first=True), torch.nn.Linear(192, 1)
    return (lambda x: head(cells(x)[0])), torch.rand(1, PIXELS, 2).round()


def row_lstm(torch):
    """PixelRNN, seven row LSTMs of 16: what enters a row by a masked convolution, then row after row."""
    nn, F = torch.nn, torch.nn.functional
    hidden, layers, head = 16, 7, 32
    enter = nn.Conv2d(1, 2 * hidden, 7)

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.entering = nn.Conv2d(2 * hidden, 4 * hidden, (1, 2))
            self.recurrent = nn.Conv1d(hidden, 4 * hidden, 3, padding=1)
            self.out = nn.Conv2d(hidden, 2 * hidden, 1)

        def forward(self, x):
            z = self.entering(F.pad(x, (1, 0)))
            h = c = torch.zeros(1, hidden, SIDE)
            rows = []
            for y in range(SIDE):
                i, f, g, o = (z[:, :, y] + self.recurrent(h)).chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                rows.append(h)
            return x + self.out(torch.stack(rows, 2))

    net = nn.Sequential(*(Layer() for _ in range(layers)))
    last = nn.Sequential(nn.ReLU(), nn.Conv2d(2 * hidden, head, 1), nn.ReLU(), nn.Conv2d(head, 1, 1))
    return (lambda x: last(net(enter(F.pad(x, (3, 3, 3, 3)))))), torch.rand(1, 1, SIDE, SIDE).round()


def gated(torch):
    """Gated PixelCNN, in the fastest form of train.py for one image."""
    from train import pixel_cnn

    forms = []
    for form in ("conv", "nhwc", "linear"):
        net, (x,), _ = pixel_cnn(torch, 32, form, 1)
        with torch.inference_mode():
            forms.append((statistics.median(timed(lambda: net(x), 0.5)), form, net, x))
    _, _, net, x = min(forms, key=lambda f: f[0])
    return net, x


def transformer(torch):
    """Six layers of four heads, 128 wide."""
    from train import gpt

    return gpt(torch, 2, PIXELS, "sdpa", 6, True), torch.randint(0, 2, (1, PIXELS))


FAMILIES = {"nade": nade, "made": made, "lstm": lstm, "pixelrnn": row_lstm, "pixelcnn": gated, "transformer": transformer}


def timed(run, seconds):
    run()
    all, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(all) < 3:
        start = time.perf_counter()
        run()
        all.append(time.perf_counter() - start)
    return all


def measure(family, seconds):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net, x = FAMILIES[family](torch)
    with torch.inference_mode():
        passes = timed(lambda: net(x), seconds)
    passes.sort()
    at = lambda share: passes[min(len(passes) - 1, int(share * len(passes)))]
    print(json.dumps({"program": f"PyTorch {torch.__version__}", "family": family, "ns_per_pixel": 1e9 * at(0.5),
                      "p99": 1e9 * at(0.99), "max": 1e9 * passes[-1], "passes": len(passes)}))


def table(raw, out):
    with open(raw, encoding="utf8") as f:
        runs = [json.loads(line) for line in f]
    of = lambda family, **which: statistics.median(
        r["ns_per_pixel"] for r in runs if r["family"] == family and all(r.get(k) == v for k, v in which.items()))
    peer = next(r["program"] for r in runs if r["program"] != "wavesynth")
    with open(out, "w", encoding="utf8") as f:
        f.write(f"| | a pixel, µs | {peer}, a whole pass for a pixel, µs | times as fast | 64 in lockstep, µs a pixel of each | times the pixels of one |\n|---|---:|---:|---:|---:|---:|\n")
        for family in FAMILIES:
            one, many = (of(family, program="wavesynth", streams=n) for n in (1, 64))
            naive = of(family, program=peer)
            f.write(f"| {family} | {one / 1e3:.2f} | {naive / 1e3:,.0f} | {naive / one:,.0f} | {many / 1e3:.2f} | {one / many:.1f} |\n")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "table":
        table(*sys.argv[2:])
    elif len(sys.argv) == 3 and sys.argv[1] in FAMILIES:
        measure(sys.argv[1], float(sys.argv[2]))
    else:
        sys.exit(__doc__)
