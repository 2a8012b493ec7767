#!/usr/bin/env python3
"""half-way.py VOICE.safetensors OUT.safetensors [SHARE]: lets a voice believe others' tracks more.

Before its last tanh the network for others' tracks becomes SHARE (0.5) of itself and the rest of the network for the
speaker's own. What it has learned from tracks that a voice made carries over only in part to tracks of people (as in
M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, there between weights). Needs the packages numpy and
safetensors, and a checkpoint with f32 weights as `train` writes it; docs/formats.md has the tensors.
"""

import json
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

OWN, OTHERS = "cond.hidden", "cond.others"
PARTS = ("0.weight", "0.bias", "1.weight", "1.bias")


def half_way(about, tensors, share):
    """The tensors of the new network; `about`, the checkpoint's description, is told how wide it is."""
    condition = about["config"].get("condition") or {}
    if not condition.get("others"):
        sys.exit("this voice has no network for others' tracks (`others` in its config)")
    own, others = ([tensors[f"{net}.{part}"] for part in PARTS] for net in (OWN, OTHERS))
    first = own[0].copy()
    # The flag of another's track is 2 where that of the speaker's own is 1.
    first[condition["speaker_dim"]] /= 2
    parts = (np.concatenate([first, others[0]], 1), np.concatenate([own[1], others[1]]),
             np.concatenate([(1 - share) * own[2], share * others[2]]), (1 - share) * own[3] + share * others[3])
    condition["others"] = parts[0].shape[1]
    return {f"{OTHERS}.{part}": np.float32(value) for part, value in zip(PARTS, parts)}


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    source, target, share = *sys.argv[1:3], float(sys.argv[3] if len(sys.argv) == 4 else 0.5)
    with safe_open(source, "numpy") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    about = json.loads(metadata["wavesynth"])
    tensors |= half_way(about, tensors, share)
    save_file(tensors, target, metadata | {"wavesynth": json.dumps(about)})


if __name__ == "__main__":
    main()
