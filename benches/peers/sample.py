"""PyTorch writing text with the models of wavesynth's checkpoints: one symbol at a time with cached state, batch 1, f32,
one thread, the checkpoint's own weights; softmax and draw included.

    sample.py MODEL.safetensors SECONDS                 one JSON line a form
    sample.py table RAW.jsonl OUT.json OUT.md           medians over rounds, the best form beside wavesynth

Forms: `module` is torch.nn's own LSTM or GRU, `products` the same equations by addmm; `cache` a GPT with a cache of keys
and values whose oldest place is overwritten when it is full: cheaper than any way of reading on that keeps to positions
that were trained, and so a bound from below on PyTorch's time. `crop` reads the last `context` symbols anew for every
symbol, as nanoGPT does. A WaveNet is engine.py's, with cached queues.
"""
import json
import statistics
import struct
import sys
from collections import defaultdict

from engine import per_sample, torch_step


def read(path):
    """Config, and tensors as f32."""
    import torch

    types = {"F32": torch.float32, "F16": torch.float16}
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + n])
    meta = json.loads(header.pop("__metadata__")["wavesynth"])
    tensors = {}
    for name, t in header.items():
        a, b = t["data_offsets"]
        raw = bytearray(data[8 + n + a : 8 + n + b])
        tensors[name] = torch.frombuffer(raw, dtype=types[t["dtype"]]).reshape(t["shape"]).float()
    return meta["family"], meta["config"], tensors


def draw(torch, logits):
    return torch.multinomial(torch.softmax(logits, -1).reshape(1, -1), 1).reshape(1)


def rnn_products(torch, c, w):
    lstm, n = c["cell"] == "lstm", c["hidden"]
    layers = range(c["layers"])
    h, m = [torch.zeros(1, n) for _ in layers], [torch.zeros(1, n) for _ in layers]
    table = w["layer.0.input.weight"] + w["layer.0.bias"]
    x = torch.tensor([c["start"]])

    def step():
        nonlocal x
        for l in layers:
            u = table[x] if l == 0 else torch.addmm(w[f"layer.{l}.bias"], h[l - 1], w[f"layer.{l}.input.weight"])
            if lstm:
                i, f, g, o = torch.addmm(u, h[l], w[f"layer.{l}.recurrent.weight"]).chunk(4, 1)
                m[l] = torch.sigmoid(f) * m[l] + torch.sigmoid(i) * torch.tanh(g)
                h[l] = torch.sigmoid(o) * torch.tanh(m[l])
            else:
                (r, z, a), (rr, zz, aa) = u.chunk(3, 1), (h[l] @ w[f"layer.{l}.recurrent.weight"]).chunk(3, 1)
                r, z = torch.sigmoid(r + rr), torch.sigmoid(z + zz)
                a = torch.tanh(a + r * (aa + w[f"layer.{l}.candidate.bias"]))
                h[l] = (1 - z) * a + z * h[l]
        x = draw(torch, torch.addmm(w["head.bias"], h[-1], w["head.weight"]))

    return step


def rnn_module(torch, c, w):
    n, classes = c["hidden"], c["classes"]
    gru = c["cell"] == "gru"
    net = (torch.nn.GRU if gru else torch.nn.LSTM)(classes, n, c["layers"], batch_first=True)
    for l in range(c["layers"]):
        p = lambda name: getattr(net, f"{name}_l{l}").data
        p("weight_ih").copy_(w[f"layer.{l}.input.weight"].T)
        p("weight_hh").copy_(w[f"layer.{l}.recurrent.weight"].T)
        p("bias_ih").copy_(w[f"layer.{l}.bias"])
        p("bias_hh").zero_()
        if gru:
            p("bias_hh")[2 * n :].copy_(w[f"layer.{l}.candidate.bias"])
    rows = torch.eye(classes).reshape(classes, 1, 1, classes)
    state, x = None, torch.tensor([c["start"]])

    def step():
        nonlocal state, x
        y, state = net(rows[x[0]], state)
        x = draw(torch, torch.addmm(w["head.bias"], y[0], w["head.weight"]))

    return step


def gpt(torch, c, w, cached):
    F, width, heads, context = torch.nn.functional, c["width"], c["heads"], c["context"]
    k = width // heads
    head = w["input.embed"].T.contiguous() if c["tied_head"] else w["output.head.weight"]

    def norm(x, at):
        return F.layer_norm(x, (width,), w[f"{at}.norm.weight"], w.get(f"{at}.norm.bias"))

    def affine(x, at):
        y = x @ w[f"{at}.weight"]
        return y + w[f"{at}.bias"] if c["bias"] else y

    def block(x, l, attend):
        at, mlp = f"layer.{l}.attention", f"layer.{l}.mlp"
        q, key, value = (y.view(1, -1, heads, k).transpose(1, 2) for y in affine(norm(x, at), f"{at}.qkv").split(width, 1))
        y = attend(l, q, key, value)
        x = x + affine(y.transpose(1, 2).reshape(-1, width), f"{at}.out")
        return x + affine(F.gelu(affine(norm(x, mlp), f"{mlp}.up")), f"{mlp}.down")

    caches = [torch.zeros(2, 1, heads, context, k) for _ in range(c["layers"])]
    t, x, text = 0, torch.tensor([c["start"]]), torch.full((context,), c["start"])

    def read_cached(l, q, key, value):
        cache, n = caches[l], min(t + 1, context)
        cache[0, :, :, t % context], cache[1, :, :, t % context] = key[:, :, 0], value[:, :, 0]
        return F.scaled_dot_product_attention(q, cache[0, :, :, :n], cache[1, :, :, :n])

    def read_whole(_, q, key, value):
        return F.scaled_dot_product_attention(q, key, value, is_causal=True)

    def step():
        nonlocal t, x, text
        if cached:
            y, attend = w["input.embed"][x] + w["input.position"][t % context], read_cached
        else:
            y, attend = w["input.embed"][text] + w["input.position"], read_whole
        for l in range(c["layers"]):
            y = block(y, l, attend)
        x = draw(torch, norm(y[-1:], "output") @ head)
        text = torch.cat([text[1:], x])
        t += 1

    return step


def forms(torch, family, c, w):
    if family == "char_rnn":
        return {"products": rnn_products(torch, c, w), "module": rnn_module(torch, c, w)}
    if family == "gpt":
        return {"cache": gpt(torch, c, w, True), "crop": gpt(torch, c, w, False)}
    if family == "wavenet" and not c.get("condition"):
        layers = range(len(c["dilations"]))
        s, a = torch.zeros(c["skip_channels"]), w["skip.bias"]
        # A gate's taps [K, R, 2D] side by side, as the rows of one product.
        pair = lambda name: (w[f"{name}.weight"].flatten(0, -2).numpy(), w[f"{name}.bias"].numpy())
        skip = [(w[f"layer.{l}.skip.weight"].numpy(), (a if l == 0 else s).numpy()) for l in layers]
        return {"queues": torch_step(c, {
            "embed": w["input.embed"].numpy(),
            "gate": [pair(f"layer.{l}.gate") for l in layers],
            "residual": [pair(f"layer.{l}.residual") for l in layers[:-1]],
            "skip": skip,
            "head": [pair("head.0"), pair("head.1")],
        })}
    sys.exit(f"{family}: PyTorch has no form of it here")


def measure(path, seconds):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    family, config, tensors = read(path)
    for form, step in forms(torch, family, config, tensors).items():
        def guarded():
            with torch.inference_mode():
                step()

        ns, symbols = per_sample(guarded, seconds)
        print(json.dumps({"who": f"PyTorch {torch.__version__}", "model": path, "family": family, "form": form,
                          "dtype": "f32", "ns_per_symbol": ns, "symbols": symbols}), flush=True)


def table(raw, out_json, out_md):
    with open(raw, encoding="utf8") as f:
        runs = [json.loads(line) for line in f]
    times = defaultdict(list)
    for r in runs:
        times[r["model"], r["who"], r["form"], r["dtype"]].append(r["ns_per_symbol"])
    medians = {k: statistics.median(v) for k, v in times.items()}
    with open(out_json, "w", encoding="utf8") as f:
        rows = [dict(zip(("model", "who", "form", "dtype", "ns_per_symbol"), [*k, v])) for k, v in medians.items()]
        json.dump({"medians": rows, "runs": runs}, f, indent=1)
    with open(out_md, "w", encoding="utf8") as f:
        f.write("| model | who | form | symbols/s | times PyTorch's best |\n|---|---|---|---:|---:|\n")
        for model in dict.fromkeys(k[0] for k in medians):
            best = min(v for k, v in medians.items() if k[0] == model and k[1].startswith("PyTorch"))
            for (m, who, form, dtype), v in medians.items():
                if m == model:
                    f.write(f"| {model} | {who} | {form} {dtype} | {1e9 / v:,.0f} | {best / v:.1f} |\n")


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "table":
        table(*sys.argv[2:])
    elif len(sys.argv) == 3:
        measure(sys.argv[1], float(sys.argv[2]))
    else:
        sys.exit(__doc__)
