"""A second implementation of docs/formats.md in numpy, one function or a few for each of its sections.

Here are WaveNets, the condition file and samples; checkpoint.py, text.py, likelihoods.py, features.py and sampling.py have the
other sections. Written from the document and not from the program's source, so that check.py and the other checks can compare
the two. (A few things came later, from differences found: the 256 phases of resampled(), the limit of recording(), what is
rounded before a product with I8 weights in a WaveNet and behind a GPT's norms, and what a model of bytes writes.) It favours
reading over speed: whole recordings at once, double precision wherever no number depends on single.
"""

import json
import math
import struct

import numpy as np

import likelihoods
from checkpoint import F32, Checkpoint, read_safetensors, write_safetensors

# WaveNet: from symbols to logits -------------------------------------------------------------------------------------


def condition_rows(model, count, speaker=None, track=None, flag=1):
    """c_i of the first `count` frames. Without a speaker its part of f_i is 0."""
    cond = model.condition
    parts = []
    if cond["speaker_dim"]:
        vector = np.zeros(cond["speaker_dim"]) if speaker is None else np.asarray(speaker, np.float64)
        parts.append(np.tile(vector, (count, 1)))
    if cond["features"]:
        around = range(-cond["context"], cond["context"] + 1)
        if track is None:
            parts.append(np.zeros((count, 1 + len(around) * cond["features"])))
        else:
            parts.append(np.full((count, 1), flag))
            frames = np.arange(count)
            parts += [np.asarray(track, np.float64)[np.clip(frames + j, 0, len(track) - 1)] for j in around]
    f = np.concatenate(parts, 1)
    if cond["hidden"]:
        network = "others" if track is not None and flag == 2 else "hidden"
        for l in range(2):
            f = np.tanh(f @ model.values(f"cond.{network}.{l}.weight") + model.values(f"cond.{network}.{l}.bias"))
    return f


def delayed(rows, delay):
    """Zeros ahead of the rows, as many as the delay."""
    return np.concatenate([np.zeros((min(delay, len(rows)), rows.shape[1])), rows[: max(len(rows) - delay, 0)]])


def anothers_flag(model):
    """Of a track that is not known to be the speaker's own."""
    return 2 if model.config["condition"].get("others") else 1


def logits(model, symbols, speaker=None, track=None, flag=1):
    """[T, classes], or [T, P] under a likelihood; row t says p(x_t | x_<t, c)."""
    w, config = model.values, model.config
    symbols = np.asarray(symbols)
    bunch = config.get("bunch", 1)
    bunches = -(-len(symbols) // bunch)

    def before(times, lag):
        """x_{t-1-lag} of every t, the start symbol before the first."""
        at = times - 1 - lag
        return np.where(at < 0, config["start"], symbols[np.maximum(at, 0)])

    first = bunch * np.arange(bunches)
    r = likelihoods.entering(config, w("input.embed"), symbols)[first]
    r = r + sum(w(f"input.lag.{i}.embed")[before(first, i)] for i in range(1, bunch))
    if model.condition:
        hop = model.condition["hop"]
        c = condition_rows(model, -(-len(symbols) // hop), speaker, track, flag)
        frame = first // hop
    gated, d = [], config["gate_channels"]
    layers = range(len(config["dilations"]))
    between = model.small(f"layer.{l}.{k}.weight" for l in layers for k in ("gate", "residual", "skip"))
    inputs, gates = ({"block": config["residual_channels"]}, {"most": 1}) if between else ({}, {})
    for l, dilation in enumerate(config["dilations"]):
        taps = [delayed(r, (config["kernel_size"] - 1 - k) * dilation) for k in range(config["kernel_size"])]
        z = model.product(np.concatenate(taps, 1), f"layer.{l}.gate.weight", **inputs) + w(f"layer.{l}.gate.bias")
        if model.condition:
            z = z + (c @ w(f"layer.{l}.cond.weight"))[frame]
        gated.append(np.tanh(z[:, :d]) / (1 + np.exp(-z[:, d:])))
        if l + 1 < len(config["dilations"]):
            r = r + model.product(gated[-1], f"layer.{l}.residual.weight", **gates) + w(f"layer.{l}.residual.bias")
    s = model.product(np.concatenate(gated, 1), *(f"layer.{l}.skip.weight" for l in layers), **gates) + w("skip.bias")
    a = np.zeros((len(symbols), config["head_channels"]))
    for j in range(bunch):
        name = "head.0" if j == 0 else f"head.0.phase.{j}"
        times = np.arange(j, len(symbols), bunch)
        sums = model.product(np.maximum(s[: len(times)], 0), f"{name}.weight") + w(f"{name}.bias")
        for i in range(j):
            sums = sums + w(f"{name}.lag.{i}.embed")[before(times, i)]
        a[times] = np.maximum(sums, 0)
    return model.product(a, "head.1.weight") + w("head.1.bias")


def nats(rows, symbols):
    """-ln p of each symbol under its row of logits."""
    top = rows.max(1)
    return top + np.log(np.exp(rows - top[:, None]).sum(1)) - rows[np.arange(len(rows)), symbols]


# The condition file --------------------------------------------------------------------------------------------------


def write_condition(path, speaker=None, track=None, space="", recipe="", sample_rate=0, hop=0, stats=None, name="x",
                    adaptation=None, reads=None, speaker_stats=None):
    head = {"version": 1, "name": name, "space": space, "recipe": recipe, "sample_rate": sample_rate, "hop": hop}
    head |= {"stats": stats, "source": ""} | ({"reads": reads} if reads else {})
    head |= {"speaker_stats": speaker_stats} if speaker_stats else {}
    tensors = {key: value for key, value in (("speaker", speaker), ("track", track)) if value is not None}
    tensors |= {"adaptation." + key: value for key, value in (adaptation or {}).items()}
    write_safetensors(path, {"wavesynth.condition": json.dumps(head)}, tensors)


def adapted(model, adaptation):
    """The model with W + D U for each W, and b + d for each b."""
    tensors = dict(model.tensors)
    for name in (n for n in adaptation if not n.endswith(".up")):
        own = name.removesuffix(".down")
        change = adaptation[name] if own == name else adaptation[name] @ adaptation[own + ".up"]
        tensors[own] = (model.values(own) + change).astype(np.float32)
    return Checkpoint(model.head, tensors)


def read_condition(path):
    meta, tensors = read_safetensors(path)
    return json.loads(meta["wavesynth.condition"]), tensors


# Mu-law and pre-emphasis ---------------------------------------------------------------------------------------------


def emphasised(x, a):
    x = np.asarray(x, F32)
    return np.clip(x - F32(a) * np.concatenate([np.zeros(1, F32), x[:-1]]), F32(-1), F32(1))


def encode(x, a):
    """Codes of samples, in single precision throughout."""
    e = emphasised(x, a)
    y = 127 * np.copysign(np.log1p(255 * np.abs(e)) / F32(math.log(256)), e)
    return (128 + np.copysign(np.floor(np.abs(y) + F32(0.5)), y)).astype(np.int64)


def deemphasised(e, a):
    x, last, a = np.empty_like(e), F32(0), F32(a)
    for t, value in enumerate(e):
        x[t] = last = value + a * last
    return x


def decode(codes, a):
    """Samples of codes, in single precision throughout."""
    y = np.maximum((np.asarray(codes, F32) - 128) / F32(127), F32(-1))
    return deemphasised(np.copysign((F32(256) ** np.abs(y) - 1) / F32(255), y), a)


def encode_levels(x, a):
    """Symbols of samples in a voice of 65,536 symbols, in single precision throughout."""
    return np.minimum(np.floor(F32(32768) * (emphasised(x, a) + F32(1)) + F32(0.5)), 65535).astype(np.int64)


def decode_levels(symbols, a):
    return deemphasised(np.asarray(symbols, F32) / F32(32768) - 1, a)


# From codes to PCM, files and rates ----------------------------------------------------------------------------------


def limited(x):
    """Samples below full scale."""
    knee = F32(0.8912509)
    u = np.maximum(np.abs(x) - knee, F32(0)) / (1 - knee)
    return np.where(np.abs(x) > knee, np.copysign(knee + (1 - knee) * (u / (1 + u)), x), x)


def cut_off(x, rate):
    """Samples that end before their track does, and so fade."""
    n = min(len(x), rate * 20 // 1000)
    left = np.arange(len(x) - 1, -1, -1, dtype=F32)
    return np.where(left < n, x * (left / F32(n)), x)


def to_s16(x):
    y = F32(32767) * np.clip(x, F32(-1), F32(1))
    return np.copysign(np.floor(np.abs(y) + F32(0.5)), y).astype(np.int16)


def read_wav(path):
    """Samples (channels averaged, or the first of those that cancel) and rate of a PCM or floating-point file."""
    data, at, kind = open(path, "rb").read(), 12, None
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])[0]
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            kind = struct.unpack("<H", body[24:26])[0] if kind == 0xFFFE else kind
        elif name == b"data":
            if kind == 3:
                x = np.frombuffer(body, f"<f{bits // 8}").astype(F32)
            else:
                wide = np.frombuffer(body, np.uint8).reshape(-1, bits // 8) ^ (128 if bits == 8 else 0)
                raw = np.zeros((len(wide), 4), np.uint8)
                raw[:, 4 - bits // 8 :] = wide
                x = (raw.view("<i4")[:, 0] / 2.0**31).astype(F32)
            x = x.reshape(-1, channels).astype(np.float64)
            cancels = (x.mean(1) ** 2).sum() < 0.3 * (x**2).sum() / channels**2
            return (x[:, 0] if cancels else x.mean(1)).astype(F32), rate
        at += 8 + size + size % 2
    raise ValueError(path)


def recording(path, rate=16000):
    """Samples of a recording as a voice of this rate reads it: mended, then resampled."""
    x, source = read_wav(path)
    peak = float(np.abs(x).max(initial=0))
    if peak > 1.25:
        x = x / F32(2.0 ** math.ceil(math.log2(peak)))
    mean = x.astype(np.float64).mean() if len(x) else 0.0
    if abs(mean) >= 0.005:
        x = (x - mean).astype(F32)
    return resampled(x, source, rate)


def resampled(x, source, target, taps=256):
    """A recording at another rate. Sums in double precision."""
    if source == target:
        return x
    n = min(-(-taps * -(-source // target) // 8) * 8, 8192)
    cutoff = 1 / (1 + 8.0414 / n + 55.951 / n**2 + 898.03 / n**3) * min(1, target / source)
    j = np.arange(n) - n // 2 + 1  # taps, counted from the input sample at or before the output

    def taps_at(fraction):
        tau = j - fraction
        angle = 2 * np.pi * (tau + n / 2) / n
        window = 0.35875 - 0.48829 * np.cos(angle) + 0.14128 * np.cos(2 * angle) - 0.01168 * np.cos(3 * angle)
        return np.sinc(cutoff * tau) * window

    phases, late = target // math.gcd(source, target), 0
    if phases * n > 1 << 20:
        phases, late = 256, target  # in units of 1 / (256 * target) of an input sample
    gain = np.mean([taps_at(i / phases).sum() for i in range(phases)])
    padded = np.concatenate([np.zeros(n), np.asarray(x, np.float64), np.zeros(2 * n)])
    out, filters = np.empty((2 * len(x) * target + source) // (2 * source), F32), {}
    for k in range(len(out)):
        first, rest = divmod(256 * k * source + late, 256 * target)
        if rest not in filters:
            filters = filters if len(filters) < 4096 else {}
            filters[rest] = taps_at(rest / (256 * target)) / gain
        out[k] = filters[rest] @ padded[first + n + j[0] : first + n + j[0] + n]
    return out
