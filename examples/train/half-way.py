#!/usr/bin/env python3
"""half-way.py VOICE.safetensors OUT.safetensors [SHARE]: lets the network for others' tracks believe them more.

Before its last tanh that network becomes SHARE (0.5) of itself and the rest of the network for the speaker's own tracks.
What it has learned from tracks that a voice made carries over only in part to tracks of real people; between the two it is
better at both (as in M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, there between weights). Needs
numpy; docs/formats.md has the tensors.
"""

import json
import struct
import sys

import numpy as np


def read(path):
    """Metadata and float tensors of a safetensors file."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, spec in header.items():
        if spec["dtype"] != "F32":
            sys.exit(f"{path}: {name} is {spec['dtype']}, wanted F32: take the checkpoint that `train` wrote")
        begin, end = spec["data_offsets"]
        tensors[name] = np.frombuffer(data[begin:end], "<f4").reshape(spec["shape"])
    return metadata, tensors


def write(path, metadata, tensors):
    header, offset = {"__metadata__": metadata}, 0
    for name, value in sorted(tensors.items()):
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [offset, offset + value.nbytes]}
        offset += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, value in sorted(tensors.items()):
            file.write(np.ascontiguousarray(value, "<f4").tobytes())


def half_way(metadata, tensors, share):
    about = json.loads(metadata["wavesynth"])
    condition = about["config"].get("condition") or {}
    if not condition.get("others"):
        sys.exit("this voice has no network for others' tracks (`others` in its config)")
    own, others = ([tensors[f"cond.{net}.{i}"] for i in ("0.weight", "0.bias", "1.weight", "1.bias")] for net in ("hidden", "others"))
    first = own[0].copy()
    # The flag of another's track is 2 where that of the speaker's own is 1.
    first[condition["speaker_dim"]] /= 2
    changed = {
        "0.weight": np.concatenate([first, others[0]], 1),
        "0.bias": np.concatenate([own[1], others[1]]),
        "1.weight": np.concatenate([(1 - share) * own[2], share * others[2]]),
        "1.bias": (1 - share) * own[3] + share * others[3],
    }
    condition["others"] = len(changed["0.bias"])
    tensors = tensors | {f"cond.others.{name}": np.float32(value) for name, value in changed.items()}
    return metadata | {"wavesynth": json.dumps(about)}, tensors


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    metadata, tensors = read(sys.argv[1])
    write(sys.argv[2], *half_way(metadata, tensors, float(sys.argv[3]) if len(sys.argv) == 4 else 0.5))
