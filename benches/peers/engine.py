"""The engine's shapes in PyTorch (eager) and ONNX Runtime: one sample at a time with cached queues, batch 1, f32, one
thread, random weights; table lookup, 256-way softmax and sampling included, last residual dropped.

    engine.py torch|onnxruntime SHAPES.json SECONDS     one JSON line a shape
    engine.py table RAW.jsonl OUT.json OUT.md           medians over rounds, ratios to wavesynth

SHAPES.json is what `wavesynth bench shapes --json` prints. engine.sh calls all of it.
"""
import json
import statistics
import sys
import time
from collections import defaultdict

WARM_UP = 200


def weights(c, rng):
    """Random tensors of one shape; matrices are [in, out]."""
    r, d, s, a, k = (c[n] for n in ("residual_channels", "gate_channels", "skip_channels", "head_channels", "kernel_size"))
    layers = len(c["dilations"])

    def matrix(inputs, outputs):
        return (rng.standard_normal((inputs, outputs)) / inputs ** 0.5).astype("float32"), rng.standard_normal(outputs).astype("float32") * 0.1

    return {
        "embed": rng.standard_normal((c["classes"], r)).astype("float32"),
        "gate": [matrix(k * r, 2 * d) for _ in range(layers)],
        "residual": [matrix(d, r) for _ in range(layers - 1)],
        "skip": [matrix(d, s) for _ in range(layers)],
        "head": [matrix(s, a), matrix(a, c["classes"])],
    }


def per_sample(step, seconds):
    """ns per call of `step`, its mean over about `seconds`."""
    for _ in range(WARM_UP):
        step()
    n, start = 0, time.perf_counter_ns()
    while time.perf_counter_ns() - start < seconds * 1e9:
        for _ in range(50):
            step()
        n += 50
    return (time.perf_counter_ns() - start) / n, n


def torch_step(c, w):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    t = torch.from_numpy
    embed = t(w["embed"])
    gate, residual, skip, head = ([(t(m), t(b)) for m, b in w[n]] for n in ("gate", "residual", "skip", "head"))
    past, d = c["kernel_size"] - 1, c["gate_channels"]
    queues = [torch.zeros(past * n, 1, c["residual_channels"]) for n in c["dilations"]]
    at = [0] * len(queues)
    x = torch.tensor([c["start"]])

    def step():
        nonlocal x
        r = embed[x]
        out = None
        for i, n in enumerate(c["dilations"]):
            rows = past * n
            taps = [queues[i][(at[i] + j * n) % rows] for j in range(past)]
            z = torch.addmm(gate[i][1], torch.cat([*taps, r], 1), gate[i][0])
            queues[i][at[i]] = r
            at[i] = (at[i] + 1) % rows
            h = torch.tanh(z[:, :d]) * torch.sigmoid(z[:, d:])
            s = torch.addmm(skip[i][1], h, skip[i][0])
            out = s if out is None else out + s
            if i < len(residual):
                r = r + torch.addmm(residual[i][1], h, residual[i][0])
        y = torch.addmm(head[0][1], torch.relu(out), head[0][0])
        y = torch.addmm(head[1][1], torch.relu(y), head[1][0])
        x = torch.multinomial(torch.softmax(y, 1), 1)[0]

    def guarded():
        with torch.inference_mode():
            step()

    return guarded


def onnx_step(c, w):
    """One graph a step: symbol, uniform number and the queues' taps in, next symbol and the new rows out. The queues stay
    outside, so that no copy of them is charged to the runtime."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto as T
    from onnx import helper, numpy_helper

    nodes, constants, inputs, outputs = [], [], [], []

    def const(name, value):
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(op, args, out, **attributes):
        nodes.append(helper.make_node(op, args, [out], **attributes))
        return out

    r_len, d, past = c["residual_channels"], c["gate_channels"], c["kernel_size"] - 1
    inputs.append(helper.make_tensor_value_info("x", T.INT64, [1]))
    inputs.append(helper.make_tensor_value_info("uniform", T.FLOAT, [1, 1]))
    const("halves", np.array([d, d], "int64"))

    def affine(x, name, wb):
        return node("Gemm", [x, const(name + ".w", wb[0]), const(name + ".b", wb[1])], name)

    r = node("Gather", [const("embed", w["embed"]), "x"], "r.0")
    total = None
    for i in range(len(c["dilations"])):
        inputs.append(helper.make_tensor_value_info(f"taps.{i}", T.FLOAT, [1, past * r_len]))
        outputs.append(helper.make_tensor_value_info(r, T.FLOAT, [1, r_len]))
        z = affine(node("Concat", [f"taps.{i}", r], f"in.{i}", axis=1), f"gate.{i}", w["gate"][i])
        nodes.append(helper.make_node("Split", [z, "halves"], [f"a.{i}", f"b.{i}"], axis=1))
        h = node("Mul", [node("Tanh", [f"a.{i}"], f"ta.{i}"), node("Sigmoid", [f"b.{i}"], f"sb.{i}")], f"h.{i}")
        s = affine(h, f"skip.{i}", w["skip"][i])
        total = s if total is None else node("Add", [total, s], f"sum.{i}")
        if i < len(w["residual"]):
            r = node("Add", [r, affine(h, f"residual.{i}", w["residual"][i])], f"r.{i + 1}")
    y = affine(node("Relu", [total], "relu.0"), "head.0", w["head"][0])
    y = affine(node("Relu", [y], "relu.1"), "head.1", w["head"][1])
    p = node("CumSum", [node("Softmax", [y], "p", axis=1), const("axis", np.array(1, "int64"))], "cdf")
    # The first symbol whose cumulative probability exceeds the uniform number.
    over = node("Cast", [node("Greater", [p, "uniform"], "over")], "over.f", to=T.FLOAT)
    node("ArgMax", [over], "next", axis=1, keepdims=0)
    outputs.append(helper.make_tensor_value_info("next", T.INT64, [1]))
    model = helper.make_model(helper.make_graph(nodes, "step", inputs, outputs, constants),
                              opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    queues = [np.zeros((past * n, r_len), "float32") for n in c["dilations"]]
    at = [0] * len(queues)
    rng = np.random.default_rng(1)
    uniforms = rng.random((4096, 1, 1), dtype="float32")
    x, t = np.array([c["start"]], "int64"), 0

    def step():
        nonlocal x, t
        feed = {"x": x, "uniform": uniforms[t % 4096]}
        for i, n in enumerate(c["dilations"]):
            rows = past * n
            feed[f"taps.{i}"] = queues[i][[(at[i] + j * n) % rows for j in range(past)]].reshape(1, -1)
        *new, x = session.run(names, feed)
        for i, row in enumerate(new):
            queues[i][at[i]] = row[0]
            at[i] = (at[i] + 1) % len(queues[i])
        t += 1

    return step


def measure(peer, shapes, seconds):
    import numpy as np

    make = {"torch": torch_step, "onnxruntime": onnx_step}[peer]
    version = __import__(peer).__version__
    for shape in shapes:
        c = shape["config"]
        ns, samples = per_sample(make(c, weights(c, np.random.default_rng(1))), seconds)
        print(json.dumps({"peer": peer, "version": version, "shape": shape["shape"], "dtype": "f32",
                          "ns_per_symbol": ns, "symbols": samples}), flush=True)


def table(raw, out_json, out_md):
    with open(raw, encoding="utf8") as f:
        runs = [json.loads(line) for line in f]
    times = defaultdict(list)
    for r in runs:
        times[r["peer"] + (" " + r["version"] if r.get("version") else ""), r["dtype"], r["shape"]].append(r["ns_per_symbol"])
    medians = {k: statistics.median(v) for k, v in times.items()}
    columns = list(dict.fromkeys((p, d) for p, d, _ in medians))
    shapes = list(dict.fromkeys(s for _, _, s in medians))
    ours = [c for c in columns if c[0].startswith("wavesynth")]
    best = {s: min(medians[p, "f32", s] for p, d in ours if d == "f32") for s in shapes}
    rows = [{"shape": s, "peer": p, "dtype": d, "rounds": len(times[p, d, s]), "us_per_symbol": medians[p, d, s] / 1e3,
             "times_wavesynth_f32": medians[p, d, s] / best[s]} for s in shapes for p, d in columns if (p, d, s) in medians]
    with open(out_json, "w", encoding="utf8") as f:
        json.dump({"medians": rows, "runs": runs}, f, indent=1)
    with open(out_md, "w", encoding="utf8") as f:
        f.write("µs per sample, and how many times the fastest f32 row of wavesynth that is.\n\n")
        f.write("| shape | " + " | ".join(f"{p} {d}" for p, d in columns) + " |\n" + "|---" * (1 + len(columns)) + "|\n")
        for s in shapes:
            cells = [f"{medians[p, d, s] / 1e3:.1f} ({medians[p, d, s] / best[s]:.1f}×)" if (p, d, s) in medians else "-"
                     for p, d in columns]
            f.write(f"| {s} | " + " | ".join(cells) + " |\n")


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "table":
        table(*sys.argv[2:])
    elif len(sys.argv) == 4 and sys.argv[1] in ("torch", "onnxruntime"):
        with open(sys.argv[2], encoding="utf8") as f:
            measure(sys.argv[1], json.load(f), float(sys.argv[3]))
    else:
        sys.exit(__doc__)
