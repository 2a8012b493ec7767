"""A second implementation of docs/formats.md in numpy, one function or a few for each of its sections.

Written from the document and not from the program's source, so that check.py can compare the two. (Only the 256
phases of resampled() came later, from a difference found.) It favours reading over speed: whole recordings at once,
double precision wherever no number depends on single.
"""

import json
import math
import struct

import numpy as np

F32 = np.float32

# The checkpoint and the condition file: safetensors ------------------------------------------------------------------


def read_safetensors(path):
    """Metadata (a dict of strings) and tensors (a dict of float32 arrays) of a file."""
    data = open(path, "rb").read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    meta = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", name
        a, b = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[8 + size + a : 8 + size + b], "<f4").reshape(entry["shape"])
    return meta, tensors


def write_safetensors(path, meta, tensors):
    header, data = {"__metadata__": meta}, b""
    for name, value in tensors.items():
        at, data = len(data), data + np.ascontiguousarray(value, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(np.shape(value)), "data_offsets": [at, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class Checkpoint:
    def __init__(self, head, tensors):
        self.head, self.tensors = head, tensors
        self.config, self.voice = head["config"], head.get("voice")
        self.condition = self.config.get("condition")
        shapes = expected_shapes(self.config)
        assert {name: value.shape for name, value in tensors.items()} == shapes

    @staticmethod
    def read(path):
        meta, tensors = read_safetensors(path)
        return Checkpoint(json.loads(meta["wavesynth"]), tensors)

    def write(self, path):
        write_safetensors(path, {"wavesynth": json.dumps(self.head)}, self.tensors)


def expected_shapes(config):
    """Name and shape of every tensor that a config asks for."""
    r, d, s, a = (config[k + "_channels"] for k in ("residual", "gate", "skip", "head"))
    n, k, last = config["classes"], config["kernel_size"], len(config["dilations"]) - 1
    shapes = {"input.embed": (n, r), "skip.bias": (s,)}
    shapes |= {"head.0.weight": (s, a), "head.0.bias": (a,), "head.1.weight": (a, n), "head.1.bias": (n,)}
    for j in range(1, config.get("bunch", 1)):
        shapes |= {f"input.lag.{j}.embed": (n, r)}
        shapes |= {f"head.0.phase.{j}.weight": (s, a), f"head.0.phase.{j}.bias": (a,)}
        shapes |= {f"head.0.phase.{j}.lag.{i}.embed": (n, a) for i in range(j)}
    cond, width = config.get("condition"), 0
    if cond:
        e, f, h = cond["speaker_dim"], cond["features"], cond["hidden"]
        width = e + (1 + (2 * cond["context"] + 1) * f if f else 0)
        if e:
            shapes["cond.speakers"] = (cond["speakers"], e)
        if h:
            for net, o in (("hidden", h), ("others", cond.get("others", 0))):
                if o:
                    shapes |= {f"cond.{net}.0.weight": (width, o), f"cond.{net}.0.bias": (o,)}
                    shapes |= {f"cond.{net}.1.weight": (o, h), f"cond.{net}.1.bias": (h,)}
            width = h
    for l in range(last + 1):
        layer = {"gate.weight": (k, r, 2 * d), "gate.bias": (2 * d,), "skip.weight": (d, s)}
        if cond:
            layer["cond.weight"] = (width, 2 * d)
        if l < last:
            layer |= {"residual.weight": (d, r), "residual.bias": (r,)}
        shapes |= {f"layer.{l}.{name}": shape for name, shape in layer.items()}
    return shapes


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
            f = np.tanh(f @ model.tensors[f"cond.{network}.{l}.weight"] + model.tensors[f"cond.{network}.{l}.bias"])
    return f


def delayed(rows, delay):
    """Zeros ahead of the rows, as many as the delay."""
    return np.concatenate([np.zeros((min(delay, len(rows)), rows.shape[1])), rows[: max(len(rows) - delay, 0)]])


def anothers_flag(model):
    """Of a track that is not known to be the speaker's own."""
    return 2 if model.config["condition"].get("others") else 1


def logits(model, symbols, speaker=None, track=None, flag=1):
    """[T, classes]; row t says p(x_t | x_<t, c)."""
    w = {name: value.astype(np.float64) for name, value in model.tensors.items()}
    config = model.config
    symbols = np.asarray(symbols, np.int64)
    bunch = config.get("bunch", 1)
    bunches = -(-len(symbols) // bunch)

    def before(times, lag):
        """x_{t-1-lag} of every t, the start symbol before the first."""
        at = times - 1 - lag
        return np.where(at < 0, config["start"], symbols[np.maximum(at, 0)])

    first = bunch * np.arange(bunches)
    r = sum(w["input.embed" if i == 0 else f"input.lag.{i}.embed"][before(first, i)] for i in range(bunch))
    if model.condition:
        hop = model.condition["hop"]
        c = condition_rows(model, -(-len(symbols) // hop), speaker, track, flag)
        frame = first // hop
    s, d = w["skip.bias"], config["gate_channels"]
    for l, dilation in enumerate(config["dilations"]):
        z = w[f"layer.{l}.gate.bias"]
        for k, weight in enumerate(w[f"layer.{l}.gate.weight"]):
            z = z + delayed(r, (config["kernel_size"] - 1 - k) * dilation) @ weight
        if model.condition:
            z = z + (c @ w[f"layer.{l}.cond.weight"])[frame]
        h = np.tanh(z[:, :d]) / (1 + np.exp(-z[:, d:]))
        s = s + h @ w[f"layer.{l}.skip.weight"]
        if l + 1 < len(config["dilations"]):
            r = r + h @ w[f"layer.{l}.residual.weight"] + w[f"layer.{l}.residual.bias"]
    a = np.zeros((len(symbols), config["head_channels"]))
    for j in range(bunch):
        name = "head.0" if j == 0 else f"head.0.phase.{j}"
        times = np.arange(j, len(symbols), bunch)
        sums = np.maximum(s[: len(times)], 0) @ w[f"{name}.weight"] + w[f"{name}.bias"]
        for i in range(j):
            sums = sums + w[f"{name}.lag.{i}.embed"][before(times, i)]
        a[times] = np.maximum(sums, 0)
    return a @ w["head.1.weight"] + w["head.1.bias"]


def nats(rows, symbols):
    """-ln p of each symbol under its row of logits."""
    top = rows.max(1)
    return top + np.log(np.exp(rows - top[:, None]).sum(1)) - rows[np.arange(len(rows)), symbols]


# The condition file --------------------------------------------------------------------------------------------------


def write_condition(path, speaker=None, track=None, space="", recipe="", sample_rate=0, hop=0, stats=None, name="x"):
    head = {"version": 1, "name": name, "space": space, "recipe": recipe, "sample_rate": sample_rate, "hop": hop}
    head |= {"stats": stats, "source": ""}
    tensors = {key: value for key, value in (("speaker", speaker), ("track", track)) if value is not None}
    write_safetensors(path, {"wavesynth.condition": json.dumps(head)}, tensors)


def read_condition(path):
    meta, tensors = read_safetensors(path)
    return json.loads(meta["wavesynth.condition"]), tensors


# Mu-law and pre-emphasis ---------------------------------------------------------------------------------------------


def encode(x, a):
    """Codes of samples, in single precision throughout."""
    x = np.asarray(x, F32)
    e = np.clip(x - F32(a) * np.concatenate([np.zeros(1, F32), x[:-1]]), F32(-1), F32(1))
    y = 127 * np.copysign(np.log1p(255 * np.abs(e)) / F32(math.log(256)), e)
    return (128 + np.copysign(np.floor(np.abs(y) + F32(0.5)), y)).astype(np.int64)


def decode(codes, a):
    """Samples of codes, in single precision throughout."""
    y = np.maximum((np.asarray(codes, F32) - 128) / F32(127), F32(-1))
    e = np.copysign((F32(256) ** np.abs(y) - 1) / F32(255), y)
    x, last, a = np.empty_like(e), F32(0), F32(a)
    for t, value in enumerate(e):
        x[t] = last = value + a * last
    return x


# The feature recipe cep16-f0-v1 --------------------------------------------------------------------------------------

HOP, BANDS, CEPSTRA = 160, 24, 16


def windows(x, before, length):
    """[frames, length]: what lies around each frame's centre, silence outside the recording."""
    frames = -(-len(x) // HOP)
    padded = np.concatenate([np.zeros(before), x, np.zeros(length + HOP)])
    return padded[HOP * np.arange(frames)[:, None] + HOP // 2 + np.arange(length)]


def log_mel(x, bands):
    """[frames, bands]: natural logarithm of the power in each mel band."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(np.fft.rfft(windows(x, 200, 400) * hann, 512)) ** 2
    return np.log(np.maximum(power @ triangles(bands).T, 1e-6))


def triangles(bands):
    """[bands, 257]: what each bin's power weighs in each band."""
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edge = np.linspace(mel(50), mel(7600), bands + 2)  # each triangle's centre, and one edge more at either end
    at = (mel(np.arange(257) * 16000 / 512) - edge[1:-1, None]) / (edge[1] - edge[0])
    return np.maximum(1 - np.abs(at), 0)  # straight in mel, not in Hz


def dct(bands):
    """[bands, 16]: bands to cepstra, orthonormal."""
    k, b = np.arange(CEPSTRA), np.arange(bands)[:, None]
    return np.where(k == 0, math.sqrt(1 / bands), math.sqrt(2 / bands)) * np.cos(np.pi * k * (b + 0.5) / bands)


def cepstra(x):
    return log_mel(x, BANDS) @ dct(BANDS)


def low_passed(x):
    j = np.arange(65) - 32
    h = np.sinc(0.1875 * j) * (0.54 + 0.46 * np.cos(np.pi * j / 33))
    return np.convolve(x, h / h.sum())[32 : 32 + len(x)]


def correlations(x):
    """[frames, 269] of C(k), or None for a recording in which nothing is voiced."""
    s = low_passed(x)
    hops = np.add.reduceat(s**2, np.arange(0, len(s), HOP))
    floor = 533 * 1e-4 * max(hops[i : i + 3].sum() for i in range(len(hops))) / (3 * HOP)
    if floor == 0:
        return None
    seg = windows(s, 318, 801)
    seg = seg - seg.mean(1, keepdims=True)
    c = np.empty((len(seg), 269))
    energy = [(seg[:, k : k + 533] ** 2).sum(1) for k in range(269)]
    for k in range(269):
        norm = np.sqrt((energy[0] + floor) * (energy[k] + floor))
        c[:, k] = (seg[:, :533] * seg[:, k : k + 533]).sum(1) / norm
    return c


def candidates(c):
    """Up to 8 of (w, m, lag) of a frame by falling w, and the highest correlation."""
    best, found = c[39:269].max(), []
    for k in range(40, 268):
        if c[k] > c[k - 1] and c[k] >= c[k + 1] and c[k] > 0 and c[k] >= 0.3 * best:
            shift = 0.5 * (c[k - 1] - c[k + 1]) / (c[k - 1] - 2 * c[k] + c[k + 1])
            m = min(c[k] - 0.25 * (c[k - 1] - c[k + 1]) * shift, 1)
            found.append((m * (1 - 0.3 * (k + shift) / 267), m, k + shift))
    return sorted(found, key=lambda x: -x[0])[:8], best


def pitch(x):
    """F0 in Hz and voicing strength of each frame, both 0 where it is unvoiced."""
    c = correlations(x)
    out = np.zeros((-(-len(x) // HOP), 2))
    if c is None:
        return out
    states, back, before, cost = [], [], [None], np.zeros(1)
    for row in c:
        found, best = candidates(row)
        change = np.full((len(before), 1 + len(found)), 0.15 if states else 0.0)
        change[0, 0] = 0
        for i, p in enumerate(before[1:], 1):
            for j, q in enumerate(found, 1):
                change[i, j] = min(abs(math.log2(q[2] / p[2])), 0.8)
        total = cost[:, None] + change
        cost = total.min(0) + np.array([min(best, 1)] + [1 - w for w, _, _ in found])
        back.append(total.argmin(0))
        before = [None] + found
        states.append(before)
    j = int(cost.argmin())
    for i in reversed(range(len(out))):
        if j:
            _, m, lag = states[i][j]
            out[i] = min(max(16000 / lag, 60), 400), min(max(m, 0), 1)
        j = int(back[i][j])
    return out


def features(x):
    """[frames, 18] before normalisation: 16 cepstra, F0 in Hz, voicing strength."""
    x = np.asarray(x, np.float64)
    return np.concatenate([cepstra(x), pitch(x)], 1)


def statistics(recordings):
    """The speaker's statistics from the features of all recordings of the speaker."""
    rows = np.concatenate(recordings)
    c0, loud = rows[:, 0], np.sort(rows[:, 0])[len(rows) * 95 // 100]
    floor = math.sqrt(24) * math.log(1e-6)
    speech = rows[(c0 >= loud - math.sqrt(24) * 3.5 * math.log(10)) & (c0 >= 0.999 * floor), :CEPSTRA]
    if len(speech) < 20:
        raise ValueError("too little speech")
    f0 = np.sort(rows[rows[:, 16] > 0, 16])
    median = float(f0[len(f0) // 2]) if len(f0) else 0.0
    return {"mean": speech.mean(0).tolist(), "std": np.maximum(speech.std(0), 0.01).tolist(), "median_f0_hz": median}


def normalised(rows, stats):
    """[frames, 18] as a track holds them."""
    out = np.zeros((len(rows), 18))
    out[:, :CEPSTRA] = (rows[:, :CEPSTRA] - stats["mean"]) / stats["std"]
    voiced = np.flatnonzero(rows[:, 16] > 0)
    if len(voiced) and stats["median_f0_hz"] > 0:
        out[:, 16] = np.interp(np.arange(len(rows)), voiced, 2 * np.log2(rows[voiced, 16] / stats["median_f0_hz"]))
    out[:, 17] = rows[:, 17]
    return np.clip(out, -4, 4)


# The space common to speakers ----------------------------------------------------------------------------------------

SIDE = np.repeat([0.6, 1.0, 0.6], CEPSTRA)
MIDDLE = slice(CEPSTRA, 2 * CEPSTRA)
NOWHERE = {"matrix": np.eye(CEPSTRA), "offset": np.zeros(CEPSTRA)}


def spread(rows, count):
    return rows[np.arange(count) * len(rows) // count]


def apart(a, b):
    """[len(a), len(b)] squared distances."""
    return (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)


def codebook(rows):
    heard, centres = spread(rows, min(len(rows), 10240)), spread(rows, min(len(rows), 256)).copy()
    for _ in range(6):
        whose = apart(heard, centres).argmin(1)
        for i in np.unique(whose):
            centres[i] = heard[whose == i].mean(0)
    return centres


def speech_rows(track):
    """Rows of 48 of a normalised track."""
    c = np.asarray(track, np.float64)[:, :CEPSTRA]
    at = np.arange(len(c))
    rows = SIDE * np.concatenate([c[np.maximum(at - 1, 0)], c, c[np.minimum(at + 1, len(c) - 1)]], 1)
    return rows[c[:, 0] > -2]


def fit(own, others):
    m, b = np.eye(CEPSTRA), np.zeros(CEPSTRA)
    for _ in range(8):
        mapped = np.concatenate([part @ m.T for part in np.split(own, 3, 1)], 1) + SIDE * np.tile(b, 3)
        d = apart(mapped, others)
        x, y = np.concatenate([own, own[d.argmin(0)]])[:, MIDDLE], np.concatenate([others[d.argmin(1)], others])[:, MIDDLE]
        # The penalty as rows of their own.
        hold = np.sqrt(0.1 * len(x)) * np.eye(CEPSTRA + 1)
        inputs = np.concatenate([np.c_[x, np.ones(len(x))], hold])
        found = np.linalg.lstsq(inputs, np.concatenate([y, hold[:, :CEPSTRA]]), rcond=None)[0]
        m, b = found[:CEPSTRA].T, found[CEPSTRA]
    gain = y.std(0) / (x @ m.T).std(0)
    m = gain[:, None] * m
    return {"matrix": m, "offset": y.mean(0) - (x @ m.T).mean(0)}


def common_codebook(voice):
    coded = voice["common"]
    return coded["step"] * np.array(coded["codes"], np.float64).reshape(-1, 3 * CEPSTRA)


def converted(model, speaker, speaker_stats, track, track_stats):
    """Vector and track as the speaker says another's track."""
    table = model.tensors["cond.speakers"].astype(np.float64)
    known = [(s["stats"], row) for s, row in zip(model.voice["speakers"], table) if s.get("stats")]
    same = lambda a: all(np.array_equal(a[k], track_stats[k]) for k in ("mean", "std", "median_f0_hz"))
    other, other_vector = next((k for k in known if same(k[0])), ({}, table.mean(0)))

    s, t = track_stats.get("common") or other.get("common") or NOWHERE, speaker_stats.get("common") or NOWHERE
    cepstra = track[:, :CEPSTRA] @ np.transpose(s["matrix"]) + s["offset"] - t["offset"]
    cepstra = np.clip(cepstra @ np.linalg.inv(t["matrix"]).T, -4, 4)
    away = 0.7 if model.config["condition"].get("others") else 1
    return speaker + away * (speaker - other_vector), np.concatenate([cepstra, track[:, CEPSTRA:]], 1)


# Sampling ------------------------------------------------------------------------------------------------------------


def draw(row, u, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """The symbol that a uniform number picks. Also how far u lies from the nearest edge of that symbol's interval."""
    row = np.asarray(row, F32)
    if temperature == 0:
        return int(row.argmax()), np.inf
    w = np.exp((row - row.max()) * (F32(1) / F32(temperature))).astype(np.float64)
    w[w < F32(min_p)] = 0
    order = np.argsort(-w, kind="stable")
    if top_k:
        w[order[top_k:]] = 0
    if top_p < 1:
        reaches = np.flatnonzero(np.cumsum(w[order]) >= top_p * w.sum())
        w[order[max(reaches[0] + 1, 1) :]] = 0
    sums, total = np.cumsum(w), w.sum()
    above = np.flatnonzero(sums > u * total)
    i = int(above[0]) if len(above) else int(w.argmax())
    low = sums[i - 1] if i else 0.0
    return i, min(abs(u - low / total), abs(sums[i] / total - u))


def uniforms(seed, count):
    """The uniform numbers of --seed: SplitMix64 fills xoshiro256++."""
    mask, state, s = (1 << 64) - 1, seed, []
    for _ in range(4):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        s.append(z ^ (z >> 31))
    rotl, out = lambda x, k: ((x << k) | (x >> (64 - k))) & mask, np.empty(count, F32)
    for i in range(count):
        out[i] = ((rotl((s[0] + s[3]) & mask, 23) + s[0]) & mask) >> 40
        t = (s[1] << 17) & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 45)
    return out / F32(1 << 24)


# From codes to PCM, files and rates ----------------------------------------------------------------------------------


def to_s16(x):
    y = F32(32767) * np.clip(x, F32(-1), F32(1))
    return np.copysign(np.floor(np.abs(y) + F32(0.5)), y).astype(np.int16)


def read_wav(path):
    """Samples (channels averaged) and rate of a PCM or floating-point file."""
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
            return x.reshape(-1, channels).mean(1), rate
        at += 8 + size + size % 2
    raise ValueError(path)


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
