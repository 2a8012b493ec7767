"""The checkpoint: safetensors with values of three types, and the tensors that each family's config asks for."""

import json
import re
import struct
import zlib

import numpy as np

from taps import STACKS, all_taps

F32 = np.float32
PREFIX = "vq_vae."  # in front of the names of a VQ-VAE's tensors beside a model of its codes
TYPES = {"F32": "<f4", "F16": "<f2", "I8": "i1"}

# Files ---------------------------------------------------------------------------------------------------------------


def read_safetensors(path):
    """Metadata (a dict of strings) and tensors (a dict of arrays, of the types stored) of a file."""
    data = open(path, "rb").read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    meta = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        a, b = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[8 + size + a : 8 + size + b], TYPES[entry["dtype"]]).reshape(entry["shape"])
    if "wavesynth.checksum" in meta:
        assert json.loads(meta["wavesynth.checksum"]) == checksum(meta["wavesynth"], data[8 + size :]), path
    return meta, tensors


def checksum(header, data):
    """What a checkpoint says of its content: the header's text, and the bytes of all tensors."""
    return {"bytes": len(data), "crc32": zlib.crc32(header.encode() + data)}


def write_safetensors(path, meta, tensors):
    header, data = {"__metadata__": meta}, b""
    for name, value in tensors.items():
        kind = {"e": "F16", "b": "I8"}.get(np.asarray(value).dtype.char, "F32")
        at, data = len(data), data + np.ascontiguousarray(value, TYPES[kind]).tobytes()
        header[name] = {"dtype": kind, "shape": list(np.shape(value)), "data_offsets": [at, len(data)]}
    if "wavesynth" in meta:
        meta["wavesynth.checksum"] = json.dumps(checksum(meta["wavesynth"], data))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class Checkpoint:
    """`tensors` as stored. With `rounded` the products with I8 weights round their other factor, as the engine does."""

    def __init__(self, head, tensors):
        self.head, self.tensors, self.rounded = head, tensors, False
        self.family, self.config, self.voice = head["family"], head["config"], head.get("voice")
        self.condition, self.likelihood = self.config.get("condition"), self.config.get("likelihood")
        stored = {name: value.shape for name, value in tensors.items() if not name.endswith(".scale")}
        assert stored == expected_shapes(head)
        for name, value in tensors.items():
            assert value.dtype.char in types_of(self.family, name.removesuffix(".scale"), value.ndim), name

    @staticmethod
    def read(path):
        meta, tensors = read_safetensors(path)
        return Checkpoint(json.loads(meta["wavesynth"]), tensors)

    def smallest_type(self):
        """As the program calls it."""
        return {"b": "i8", "e": "f16"}.get(min((value.dtype.char for value in self.tensors.values()), key="bef".find), "f32")

    def write(self, path):
        write_safetensors(path, {"wavesynth": json.dumps(self.head, ensure_ascii=False)}, self.tensors)

    def values(self, name):
        """A tensor in double precision; None where it is not there."""
        if name not in self.tensors:
            return None
        value = self.tensors[name].astype(np.float64)
        return value * self.tensors[name + ".scale"] if name + ".scale" in self.tensors else value

    def product(self, x, *names, block=4096, most=None):
        """Rows x times the named tensors, one below the other. `most` stands in for the largest input of a block."""
        flat = [self.tensors[name].reshape(-1, self.tensors[name].shape[-1]) for name in names]
        scale = self.tensors.get(names[0] + ".scale")
        if scale is None or not self.rounded:
            return x @ np.concatenate(flat).astype(np.float64) * (1 if scale is None else scale.astype(np.float64))
        whole, out = np.concatenate(flat).astype(np.float64), 0
        for at in range(0, x.shape[-1], block):
            part = x[..., at : at + block].astype(F32)
            m = np.abs(part).max(-1, keepdims=True) if most is None else np.full((1, 1), most, F32)
            q = np.rint(part * (F32(127) / np.where(m == 0, F32(1), m))).astype(np.float64)
            out = out + (scale * m.astype(np.float64) / 127) * (q @ whole[at : at + block])
        return out


    def small(self, names):
        """Whether all the named tensors that are there are I8."""
        return all(self.tensors[name].dtype == np.int8 for name in names if name in self.tensors)


# Smaller types -------------------------------------------------------------------------------------------------------


def types_of(family, name, axes):
    """The types that a tensor may have: f, e and b are numpy's letters for F32, F16 and I8."""
    weight = name.endswith(".weight")
    if family == "vq_vae" or name.startswith(PREFIX):
        small, half = False, weight
    elif family == "wavenet":
        small = re.fullmatch(r"(head|layer.*(gate|residual|skip))\b.*\.weight", name)
        half = name.endswith(".embed") or weight and "cond." in name
    elif family == "char_rnn":
        small, half = weight and name != "layer.0.input.weight", weight
    elif family in ("nade", "made", "pixel_rnn"):
        small, half = weight, weight or name.endswith(".labels")
    elif family == "gpt":
        head = name.startswith("output.classifier.")
        small, half = weight and axes == 2 and not head, name.startswith("input.")
    elif family == "pixel_cnn":
        small, half = weight, name == "input.embed" or name.endswith(".class")
    else:
        small = half = False
    return "feb" if small else "fe" if half else "f"


def smaller(model, kind):
    """The checkpoint as `convert` stores it: kind e or b."""
    out = {}
    # numpy before 2 leaves F16 divided by a number of F32 in F16
    tensors = {name: value.astype(F32) for name, value in model.tensors.items()}
    skips = [value for name, value in tensors.items() if name.endswith(".skip.weight")]
    for name, value in tensors.items():
        allowed = types_of(model.family, name, value.ndim)
        if kind in allowed and kind == "b":
            columns = skips if name.endswith(".skip.weight") else [value]
            most = np.max([np.abs(c).reshape(-1, c.shape[-1]).max(0) for c in columns], 0)
            scale = np.where(most == 0, F32(1), most / F32(127)).astype(F32)
            out |= {name: np.rint(value / scale).astype(np.int8), name + ".scale": scale}
        else:
            out[name] = value.astype(np.float16 if "e" in allowed else F32)
    return Checkpoint(model.head, out)


# Names and shapes ----------------------------------------------------------------------------------------------------


def parameters(likelihood):
    """P"""
    kind, k, d = likelihood["name"], likelihood.get("components", 1), likelihood.get("dims", 1)
    c = likelihood.get("channels")
    if kind == "logistic_mixture":
        return k * (1 + 2 * c + c * (c - 1) // 2)
    return {"bernoulli": 1, "categorical": likelihood.get("classes"), "gaussian": 2 * d, "gaussian_mixture": k * (1 + 2 * d)}[kind]


def input_rows(config):
    """Rows of E."""
    likelihood = config.get("likelihood") or {"name": "bernoulli"}
    if likelihood["name"] == "bernoulli":
        return config["classes"]
    return likelihood["dims"] if "dims" in likelihood else likelihood["channels"]


def expected_shapes(head):
    """Name and shape of every tensor that a config asks for."""
    config = head["config"]
    if head["family"] == "vq_vae":
        return vq_vae(config, parameters(config["likelihood"]))
    if "vq_vae" in head:
        rest = {name: value for name, value in head.items() if name != "vq_vae"}
        coder = head["vq_vae"]
        return expected_shapes(rest) | vq_vae(coder, parameters(coder["likelihood"]), PREFIX)
    out = parameters(config["likelihood"]) if config.get("likelihood") else config["classes"]
    ways = {"wavenet": wavenet, "char_rnn": char_rnn, "gpt": gpt, "ngram": ngram, "nade": nade, "made": made}
    ways |= {"pixel_cnn": pixel_cnn, "pixel_rnn": pixel_rnn}
    return ways[head["family"]](config, out)


def wavenet(config, n):
    r, d, s, a = (config[k + "_channels"] for k in ("residual", "gate", "skip", "head"))
    k, last = config["kernel_size"], len(config["dilations"]) - 1
    shapes = {"input.embed": (input_rows(config), r), "skip.bias": (s,)}
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


def char_rnn(config, n):
    h, parts = config["hidden"], {"lstm": 4, "gru": 3}[config["cell"]]
    shapes = {"head.weight": (h, n), "head.bias": (n,)}
    if "condition" in config:
        shapes["condition.weight"] = (config["condition"]["features"], parts * h)
    for l in range(config["layers"]):
        shapes[f"layer.{l}.input.weight"] = (h if l else input_rows(config), parts * h)
        shapes |= {f"layer.{l}.recurrent.weight": (h, parts * h), f"layer.{l}.bias": (parts * h,)}
        if parts == 3:
            shapes[f"layer.{l}.candidate.bias"] = (h,)
    return shapes


def gpt(config, n):
    w = config["width"]
    shapes = {"input.embed": (input_rows(config), w), "output.norm.weight": (w,)}
    if "positions" in config:
        for axis, size in ("row", "height"), ("column", "width"):
            shapes |= {f"input.{which}{axis}": (config["positions"]["grid"][size], w) for which in ("", "entering.")}
    else:
        shapes["input.position"] = (config["context"], w)
    if config.get("labels"):
        shapes["input.labels"] = (config["labels"], w)
    for l in range(config["layers"]):
        layer = {"attention.norm": (w,), "attention.qkv": (w, 3 * w), "attention.out": (w, w)}
        layer |= {"mlp.norm": (w,), "mlp.up": (w, 4 * w), "mlp.down": (4 * w, w)}
        shapes |= {f"layer.{l}.{name}.weight": shape for name, shape in layer.items()}
    if config["bias"]:
        shapes |= {name[:-6] + "bias": shape[-1:] for name, shape in shapes.items() if name.endswith(".weight")}
    if not config["tied_head"]:
        shapes["output.head.weight"] = (w, n)
    if config.get("classifier"):
        shapes |= {"output.classifier.weight": (w, config["classifier"]), "output.classifier.bias": (config["classifier"],)}
    return shapes


def pixel_cnn(config, n):
    c, d, a, classes = config["channels"], config["embedding"], config["head_channels"], config.get("labels", 0)
    shapes = {"input.embed": (input_rows(config), d), "head.0.weight": (c, a), "head.0.bias": (a,)}
    shapes |= {"head.1.weight": (a, n), "head.1.bias": (n,)}
    if "likelihood" in config and config["likelihood"]["name"] != "bernoulli":
        shapes["input.bias"] = (d,)
    taps = all_taps(config)
    for l in range(config["layers"]):
        layer = {"vertical_to_horizontal.weight": (2 * c, 2 * c), "residual.weight": (c, c), "residual.bias": (c,)}
        for stack in STACKS:
            inputs = taps[stack, l > 0].shape[1] * (c if l else d)
            layer |= {f"{stack}.bias": (2 * c,)}
            layer |= {f"{stack}.weight": (inputs, 2 * c)} if inputs else {}
            layer |= {f"{stack}.class": (classes, 2 * c)} if classes else {}
        shapes |= {f"layer.{l}.{name}": shape for name, shape in layer.items()}
    return shapes


def ngram(config, n):
    c, e = config["contexts"], config["entries"]
    shapes = {"context.symbol": (c,), "context.children": (c + 1,), "context.backoff": (c,), "context.entries": (c + 1,)}
    return shapes | {"entry.symbol": (e,), "entry.weight": (e,)}


def nade(config, p):
    n, h = len(config["order"]["sites"]["sites"]), config["hidden"]
    shapes = {"hidden.bias": (h,), "hidden.weight": (n - 1, input_rows(config), h)}
    shapes |= {"output.weight": (n, p, h), "output.bias": (n, p)}
    return shapes | ({"hidden.labels": (config["labels"], h)} if config.get("labels") else {})


def made(config, p):
    n, hidden, rows = len(config["order"]["sites"]["sites"]), config["hidden"], input_rows(config)
    shapes = {"layer.0.weight": (n - 1, rows, hidden[0]), "output.weight": (hidden[-1], n * p), "output.bias": (n * p,)}
    shapes |= {"layer.1.weight": tuple(hidden)} if hidden[1:] else {}
    shapes |= {f"layer.{l}.bias": (units,) for l, units in enumerate(hidden)}
    if config["direct"]:
        shapes["direct.weight"] = (n - 1, rows, n * p)
    if config.get("labels"):
        shapes |= {"layer.0.labels": (config["labels"], hidden[0]), "output.labels": (config["labels"], n * p)}
    return shapes


def pixel_rnn(config, p):
    h, d, a = config["hidden"], 2 * config["hidden"], config["head"]
    shapes = {"input.weight": (24, input_rows(config), d), "input.bias": (d,), "head.0.weight": (d, a), "head.0.bias": (a,)}
    shapes |= {"head.1.weight": (a, p), "head.1.bias": (p,)}
    if config.get("labels"):
        shapes["input.labels"] = (config["labels"], d)
    for l in range(config["layers"]):
        for name, inputs, places in [("row", 2, 3)] if config["kind"] == "row" else [("left", 1, 2), ("right", 1, 2)]:
            at = f"layer.{l}.{name}."
            shapes |= {at + "input.weight": (inputs, d, 4 * h), at + "recurrent.weight": (places, h, 4 * h), at + "bias": (4 * h,)}
        shapes |= {f"layer.{l}.output.weight": (h, d), f"layer.{l}.output.bias": (d,)}
    return shapes


def vq_vae(config, params, prefix=""):
    """For so many parameters of a pixel."""
    likelihood, c, d = config["likelihood"], config["channels"], config["code_dim"]
    inputs = {"categorical": likelihood.get("classes"), "bernoulli": 2}.get(likelihood["name"])
    inputs = inputs or likelihood.get("dims") or likelihood["channels"]
    shapes = {}

    def layer(name, rows, columns):
        shapes[f"{prefix}{name}.weight"], shapes[f"{prefix}{name}.bias"] = (rows, columns), (columns,)

    def blocks(of):
        for r in range(config["residual_blocks"]):
            layer(f"{of}.block.{r}.spatial", 9 * c, c)
            layer(f"{of}.block.{r}.pointwise", c, c)

    layer("encoder.down.0", 16 * inputs, c)
    layer("encoder.down.1", 16 * c, c)
    blocks("encoder")
    layer("encoder.out", c, d)
    shapes[prefix + "codes"] = (config["codes"], d)
    layer("decoder.in", 9 * d, c)
    blocks("decoder")
    layer("decoder.up.0", 9 * c, 4 * c)
    layer("decoder.up.1", 9 * c, 4 * params)
    return shapes
