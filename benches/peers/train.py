"""Training steps of PyTorch on the CPU, at the shapes of `wavesynth bench train`.

One process measures one form of one shape, so that its peak memory is its own:

    python train.py --shape wavenet-30 --form linear        one JSON object on stdout
    python train.py --shape wavenet-30 --list               the forms of the shape

A step is forward, backward and fused AdamW in f32 on random symbols, every row in the loss. `keep` in front of a form
(keep-linear) keeps freed memory in the process instead of giving it back to the system (glibc's thresholds), which
spares clearing pages again at every step. Wall-clock time of each step; the figures are over the steps behind the
first `--warmup-steps`.
"""
import argparse, json, os, platform, resource, statistics, sys, time

KEEP = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "-1", "MALLOC_TOP_PAD_": "268435456"}
WAVENET = ["conv", "conv-merged", "nhwc", "linear", "linear-merged", "linear-skips", "compile-conv-merged", "compile-linear-merged", "compile-linear-skips"]
PIXELS = ["conv", "nhwc", "linear", "compile-conv", "compile-nhwc", "compile-linear"]
LSTM = ["windows-first", "time-first", "compile-windows-first", "compile-time-first"]
FORMS = {
    "wavenet-30": WAVENET,
    "shipped": WAVENET,
    "lstm": LSTM,
    "lstm-512": LSTM,
    "gru": LSTM,
    "gpt-image": ["sdpa", "compile-sdpa"],
    "gpt": ["sdpa", "explicit", "compile-sdpa", "compile-explicit"],
    "pixelcnn": PIXELS,
    "pixelcnn-64": PIXELS,
}
# (windows, rows) of a step, as the published settings have them.
BATCH = {"wavenet-30": (4, 8000), "shipped": (4, 8000), "lstm": (50, 50), "lstm-512": (50, 100), "gru": (50, 50), "gpt": (12, 64), "gpt-image": (8, 784), "pixelcnn": (16, 784), "pixelcnn-64": (16, 784)}


def all_forms(shape):
    plain = FORMS[shape]
    return plain + ["keep-" + f for f in plain]


def main():
    args = arguments()
    if args.list:
        print("\n".join(all_forms(args.shape)))
        return
    if args.form not in all_forms(args.shape):
        sys.exit(f"--form {args.form}: {args.shape} has {', '.join(all_forms(args.shape))}")
    form = args.form
    if form.startswith("keep-"):
        form = form.removeprefix("keep-")
        # glibc reads its settings when a process starts.
        if any(os.environ.get(k) != v for k, v in KEEP.items()):
            os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP})
    print(json.dumps(measure(args, form)))


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--shape", choices=FORMS, required=True)
    p.add_argument("--form", default="linear")
    p.add_argument("--list", action="store_true", help="print the forms of the shape")
    p.add_argument("--steps", type=int, default=8)
    p.add_argument("--warmup-steps", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    return p.parse_args()


def measure(args, form):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    compiled = form.startswith("compile-")
    form = form.removeprefix("compile-")
    batch, rows = BATCH[args.shape]
    net, inputs, targets = build(torch, args.shape, form, batch, rows)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3, fused=True)

    def loss_of(*inputs):
        logits = net(*inputs)
        if args.shape.startswith("pixelcnn"):
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        return torch.nn.functional.cross_entropy(logits, targets)

    began = time.perf_counter()
    loss_of = torch.compile(loss_of) if compiled else loss_of
    seconds, losses = [], []
    for step in range(args.warmup_steps + args.steps):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(*inputs)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
        if step == 0:
            first = time.perf_counter() - began
    timed = seconds[args.warmup_steps :]
    median = statistics.median(timed)
    return {
        "program": f"PyTorch {torch.__version__}",
        "python": platform.python_version(),
        "shape": args.shape,
        "form": args.form,
        "threads": args.threads,
        "windows": batch,
        "rows": rows,
        "parameters": sum(p.numel() for p in net.parameters()),
        "steps": args.steps,
        "step_seconds": median,
        "step_seconds_all": timed,
        "first_step_seconds": first,
        "samples_per_s": batch * rows / median,
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }


def build(torch, shape, form, batch, rows):
    """The network, its inputs and its flat targets."""
    if shape in ("wavenet-30", "shipped"):
        return wavenet(torch, shape, form, batch, rows)
    if shape.startswith("pixelcnn"):
        net = pixel_cnn(torch, 64 if shape.endswith("64") else 32, form)
        x = torch.randint(0, 2, (batch, 28, 28))
        return net, (x,), x.flatten().float()
    classes = 2 if shape == "gpt-image" else 65
    x = torch.randint(0, classes, (batch, rows))
    y = torch.randint(0, classes, (batch * rows,))
    if shape == "gpt":
        return gpt(torch, classes, rows, form), (x,), y
    if shape == "gpt-image":
        return gpt(torch, classes, rows, form, layers=6, bias=True), (x,), y
    # The one-hot rows are made once, outside the clock: a table in their place would cost its own gradient.
    x = torch.nn.functional.one_hot(x if form == "windows-first" else x.t().contiguous(), classes).float()
    return char_rnn(torch, shape, classes, form), (x,), y


def wavenet(torch, shape, form, batch, rows):
    nn, F = torch.nn, torch.nn.functional
    classes, hop = 256, 160
    if shape == "wavenet-30":
        r, s, a, dilations, speakers = 32, 64, 64, [2**i for i in range(10)] * 3, 0
    else:
        r, s, a, dilations, speakers = 48, 64, 128, [2**i for i in range(9)] * 2, 6
    local, dim, hidden = 91, 16, 96
    layers = len(dilations)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(classes, r)
            if speakers:
                self.speakers = nn.Embedding(speakers, dim)
                self.frame = nn.Sequential(nn.Linear(dim + local, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
                self.cond = nn.ModuleList(nn.Linear(hidden, 2 * r, bias=False) for _ in range(layers))
            outs = [0 if l + 1 == layers else r for l in range(layers)]
            if form.startswith("linear"):
                self.gate = nn.ModuleList(nn.Linear(2 * r, 2 * r) for _ in range(layers))
                self.res = nn.ModuleList(nn.Linear(r, n) for n in outs if n)
                if form == "linear-merged":
                    self.out = nn.ModuleList(nn.Linear(r, n + s) for n in outs)
                elif form == "linear-skips":
                    self.skips = nn.Linear(layers * r, s)
                else:
                    self.skip = nn.ModuleList(nn.Linear(r, s, bias=l == 0) for l in range(layers))
                self.head0, self.head1 = nn.Linear(s, a), nn.Linear(a, classes)
            else:
                conv = (lambda i, o, k=1, d=1, bias=True: nn.Conv2d(i, o, (1, k), dilation=(1, d), bias=bias)) if form == "nhwc" else (
                    lambda i, o, k=1, d=1, bias=True: nn.Conv1d(i, o, k, dilation=d, bias=bias))
                self.gate = nn.ModuleList(conv(r, 2 * r, 2, d) for d in dilations)
                if form == "conv":
                    self.res = nn.ModuleList(conv(r, n) for n in outs if n)
                    self.skip = nn.ModuleList(conv(r, s, bias=l == 0) for l in range(layers))
                else:
                    self.out = nn.ModuleList(conv(r, n + s) for n in outs)
                self.head0, self.head1 = conv(s, a), conv(a, classes)
            if form in ("linear-merged", "linear-skips"):
                if form == "linear-merged":
                    del self.res

        def condition(self, frames, speaker):
            """c [B, N, hidden]."""
            vector = self.speakers(speaker)[:, None].expand(-1, frames.shape[1], -1)
            return self.frame(torch.cat([vector, frames], 2))

        def hold(self, c, l, channels_first):
            z = self.cond[l](c).repeat_interleave(hop, 1)
            return z.transpose(1, 2) if channels_first else z

        def forward(self, x, *frames):
            c = self.condition(*frames) if speakers else None
            return self.rows_first(x, c) if form.startswith("linear") else self.channels_first(x, c)

        def rows_first(self, x, c):
            b, t = x.shape
            h, skip, gated = self.embed(x), 0, []
            for l, d in enumerate(dilations):
                past = F.pad(h, (0, 0, d, 0))[:, :t]
                z = self.gate[l](torch.cat([past, h], 2))
                if c is not None:
                    z = z + self.hold(c, l, False)
                z = torch.tanh(z[..., :r]) * torch.sigmoid(z[..., r:])
                last = l + 1 == layers
                if form == "linear-merged":
                    o = self.out[l](z)
                    if not last:
                        h = h + o[..., :r]
                    skip = skip + o[..., -s:]
                else:
                    if form == "linear-skips":
                        gated.append(z)
                    else:
                        skip = skip + self.skip[l](z)
                    if not last:
                        h = h + self.res[l](z)
            if form == "linear-skips":
                skip = self.skips(torch.cat(gated, 2))
            y = F.relu(self.head0(F.relu(skip)))
            return self.head1(y).view(b * t, classes)

        def channels_first(self, x, c):
            b, t = x.shape
            wide = form == "nhwc"
            h = self.embed(x).transpose(1, 2)
            h = h[:, :, None].contiguous(memory_format=torch.channels_last) if wide else h.contiguous()
            skip = 0
            for l, d in enumerate(dilations):
                z = self.gate[l](F.pad(h, (d, 0)))
                if c is not None:
                    held = self.hold(c, l, True)
                    z = z + (held[:, :, None] if wide else held)
                z = torch.tanh(z[:, :r]) * torch.sigmoid(z[:, r:])
                last = l + 1 == layers
                if form == "conv":
                    skip = skip + self.skip[l](z)
                    if not last:
                        h = h + self.res[l](z)
                else:
                    o = self.out[l](z)
                    if not last:
                        h = h + o[:, :r]
                    skip = skip + o[:, -s:]
            y = self.head1(F.relu(self.head0(F.relu(skip))))
            y = y[:, :, 0] if wide else y
            return y.transpose(1, 2).reshape(b * t, classes)

    net = Net()
    if form == "nhwc":
        net = net.to(memory_format=torch.channels_last)
    inputs = [torch.randint(0, classes, (batch, rows))]
    if speakers:
        inputs += [torch.randn(batch, rows // hop, local), torch.randint(0, speakers, (batch,))]
    return net, inputs, torch.randint(0, classes, (batch * rows,))


def char_rnn(torch, shape, classes, form):
    """Karpathy's char-rnn on one-hot input. Windows or time first: the order of the targets makes no difference."""
    layers, hidden = (3, 512) if shape == "lstm-512" else (2, 128)
    cell = torch.nn.GRU if shape == "gru" else torch.nn.LSTM

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cells = cell(classes, hidden, layers, batch_first=form == "windows-first")
            self.head = torch.nn.Linear(hidden, classes)

        def forward(self, x):
            y, _ = self.cells(x)
            return self.head(y).flatten(0, 1)

    return Net()


def gpt(torch, classes, rows, form, layers=4, bias=False):
    """nanoGPT, at first at its settings for a CPU: 4 layers, 4 heads, 128 wide, no biases, tied output."""
    nn, F = torch.nn, torch.nn.functional
    width, heads = 128, 4
    future = torch.ones(rows, rows, dtype=torch.bool).triu(1)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm0, self.norm1 = nn.LayerNorm(width, bias=bias), nn.LayerNorm(width, bias=bias)
            self.qkv, self.out = nn.Linear(width, 3 * width, bias), nn.Linear(width, width, bias)
            self.up, self.down = nn.Linear(width, 4 * width, bias), nn.Linear(4 * width, width, bias)

        def forward(self, x):
            b, t, _ = x.shape
            q, k, v = (y.view(b, t, heads, -1).transpose(1, 2) for y in self.qkv(self.norm0(x)).split(width, 2))
            if form == "sdpa":
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                y = (q @ k.transpose(2, 3) * q.shape[3] ** -0.5).masked_fill(future[:t, :t], -torch.inf).softmax(3) @ v
            x = x + self.out(y.transpose(1, 2).reshape(b, t, width))
            return x + self.down(F.gelu(self.up(self.norm1(x))))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.symbols, self.places = nn.Embedding(classes, width), nn.Embedding(rows, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(layers)))
            self.norm = nn.LayerNorm(width, bias=bias)
            self.head = nn.Linear(width, classes, bias=False)
            self.symbols.weight = self.head.weight

        def forward(self, x):
            y = self.symbols(x) + self.places.weight[: x.shape[1]]
            return self.head(self.norm(self.blocks(y))).flatten(0, 1)

    return Net()


def pixel_cnn(torch, c, form, side=28, symbols=2, numbers=0, embedding=2, outputs=1):
    """A Gated PixelCNN over the raster of `side` x `side` pixels, no masked weight among its kernels' values: 8 layers, the first one's
    kernels 7 x 7, the others' 3 x 3. A pixel is one of `symbols`, or so many `numbers`. It gives [pixels] for one output, else
    [pixels, outputs]."""
    nn, F = torch.nn, torch.nn.functional
    layers, head = 8, 64
    rows_first = form == "linear"

    class Taps(nn.Module):
        """The sum over the taps of some rows above, and as many columns to the left as `left` and to the right as `right`;
        the row of the pixel itself is the last one where `own`."""

        def __init__(self, inputs, above, left, right, own):
            super().__init__()
            height, self.pad = above + own, (left, right, above, 0)
            self.size = height, left + right + 1
            if rows_first:
                self.sum = nn.Linear(inputs * height * self.size[1], 2 * c)
            else:
                self.sum = nn.Conv2d(inputs, 2 * c, self.size)

        def forward(self, x):
            if not rows_first:
                # Without its own row a pixel reads those that end above it.
                return self.sum(F.pad(x, self.pad))[:, :, :side, :side]
            left, right, above, _ = self.pad
            x = F.pad(x, (0, 0, left, right, above, 0))
            taps = [x[:, i : i + side, j : j + side] for i in range(self.size[0]) for j in range(self.size[1])]
            return self.sum(torch.cat(taps, 3))

    class Left(Taps):
        """The taps of the pixel's own row, up to it or to the one before it."""

        def __init__(self, inputs, left, own):
            super().__init__(inputs, 0, left, 0, 1)
            if not own:
                self.size = (1, left)
                self.sum = nn.Linear(inputs * left, 2 * c) if rows_first else nn.Conv2d(inputs, 2 * c, self.size)

    class Layer(nn.Module):
        def __init__(self, first):
            super().__init__()
            inputs, half = (embedding, 3) if first else (c, 1)
            self.first = first
            self.vertical = Taps(inputs, half, half, half, not first)
            self.horizontal = Left(inputs, half, not first)
            point = (lambda i, o, bias=True: nn.Linear(i, o, bias)) if rows_first else (lambda i, o, bias=True: nn.Conv2d(i, o, 1, bias=bias))
            self.between, self.residual = point(2 * c, 2 * c, False), point(c, c)

        def forward(self, v, h):
            axis = 3 if rows_first else 1
            a = self.vertical(v)
            z = self.horizontal(h) + self.between(a)
            v_next = gate(a, axis)
            out = self.residual(gate(z, axis))
            return (v_next, out) if self.first else (v_next + v, out + h)

    def gate(z, axis):
        a, b = z.chunk(2, axis)
        return torch.tanh(a) * torch.sigmoid(b)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(numbers, embedding) if numbers else nn.Embedding(symbols, embedding)
            self.layers = nn.ModuleList(Layer(l == 0) for l in range(layers))
            point = nn.Linear if rows_first else lambda i, o: nn.Conv2d(i, o, 1)
            self.head0, self.head1 = point(c, head), point(head, outputs)

        def forward(self, x):
            e = self.embed(x)
            if not rows_first:
                e = e.permute(0, 3, 1, 2)
                e = e.contiguous(memory_format=torch.channels_last) if form == "nhwc" else e.contiguous()
            v = h = e
            for layer in self.layers:
                v, h = layer(v, h)
            y = self.head1(F.relu(self.head0(F.relu(h))))
            return (y if rows_first or outputs == 1 else y.permute(0, 2, 3, 1)).reshape(-1, *[outputs][: outputs > 1])

    net = Net()
    if form == "nhwc":
        net = net.to(memory_format=torch.channels_last)
    return net


if __name__ == "__main__":
    main()
