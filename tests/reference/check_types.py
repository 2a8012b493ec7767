"""Compares a built wavesynth with checkpoint.py: F16 and I8 tensors, made and multiplied.

    python3 tests/reference/check_types.py target/release/wavesynth TEXT_MODEL VOICE
"""

import numpy as np

from common import Checkpoint, report, run
import checkpoint
import check
import check_text
import reference as ref
import text

ROWS = 300


def check_conversion(session, name, model, path, kind, dtype):
    """The values that `convert` stores."""
    session.run("convert", "-m", path, "--dtype", dtype, "--force", "-o", "small.safetensors")
    meta, _ = checkpoint.read_safetensors(session.path("small.safetensors"))
    report(f"{dtype} of {name}, no checksum", "wavesynth.checksum" not in meta, 0)
    theirs, mine = Checkpoint.read(session.path("small.safetensors")), checkpoint.smaller(model, kind)
    same = lambda a, b: a.dtype == b.dtype and a.shape == b.shape
    other = mine.tensors.keys() ^ theirs.tensors.keys()
    other |= {n for n in mine.tensors.keys() & theirs.tensors.keys() if not same(mine.tensors[n], theirs.tensors[n])}
    report(f"{dtype} of {name}, tensors of another name, type or shape", len(other), 0, " ".join(sorted(other)[:5]))
    wrong = sum(np.count_nonzero(v != theirs.tensors[n]) for n, v in mine.tensors.items() if n not in other)
    report(f"{dtype} of {name}, values differing", wrong, 0)
    return theirs


def check_products(session, name, model, sequences, args, rows):
    """Logits of a small checkpoint. `rows` computes them here. Where a sum lies at the edge of two integers, another order
    of adding tips it over, and that goes on in the rows behind: so a few rows may be apart."""
    found = {"step": [], "graph": []}
    for symbols in sequences:
        session.array("x.npy", symbols)
        for way in found:
            session.run("logits", "-m", "small.safetensors", *args, "--symbols", "x.npy", "--path", way, "-o", "l.npy")
            found[way].append(session.array("l.npy"))
    step, graph = (np.concatenate(found[way]) for way in ("step", "graph"))
    exact = np.concatenate([rows(model, symbols) for symbols in sequences])
    report(f"logits, {name}, graph", np.abs(graph - exact).max(), 1e-4, f"largest {np.abs(exact).max():.3g}")
    if not any(value.dtype == np.int8 for value in model.tensors.values()):
        report(f"logits, {name}, step", np.abs(step - exact).max(), 1e-4)
        return
    model.rounded = True
    far = np.abs(step - np.concatenate([rows(model, symbols) for symbols in sequences])).max(1)
    report(f"logits, {name}, step, median of the rows", np.median(far), 1e-4, f"unrounded {np.abs(step - exact).max():.2g} away")
    report(f"logits, {name}, step, rows beyond 1e-4", np.mean(far > 1e-4), 0.1, f"furthest {far.max():.2g}")


def check_model(session, name, model, path, sequences, args=(), rows=text.logits):
    for kind, dtype in ("e", "f16"), ("b", "i8"):
        small = check_conversion(session, name, model, path, kind, dtype)
        check_products(session, f"{dtype} of {name}", small, sequences, args, rows)


def check_mixed(session, rng):
    """Only the gates and the head are I8, so a layer's taps are one product."""
    model = check_text.invented(rng, "wavenet", check_text.WAVENET)
    for name, value in checkpoint.smaller(model, "b").tensors.items():
        if "gate.weight" in name or "head" in name:
            model.tensors[name] = value
    model.write(session.path("small.safetensors"))
    check_products(session, "I8 gates and head", model, [rng.integers(0, model.config["classes"], ROWS)], (), text.logits)


def check_voice(session, name, model, path, sequences):
    _, args, kw = check.conditions(session, model, np.zeros((1, model.condition["features"])))[0]
    check_model(session, name, model, path, sequences, args, lambda m, x: ref.logits(m, x, **kw))


def checks(session, path, voice):
    rng = np.random.default_rng(3)
    for name, family, config in check_text.FAMILIES:
        model = check_text.invented(rng, family, config)
        model.write(session.path("own.safetensors"))
        check_model(session, name, model, "own.safetensors", [rng.integers(0, model.config["classes"], ROWS)])
    cond = dict(speakers=2, speaker_dim=4, features=3, context=3, hidden=8, others=12, hop=36)
    model = check.invented(rng, bunch=3, condition=cond)
    model.write(session.path("own.safetensors"))
    check_voice(session, "bunched voice", model, "own.safetensors", [rng.integers(0, 256, ROWS)])
    check_voice(session, "shipped voice", Checkpoint.read(voice), voice, rng.integers(0, 256, (20, ROWS // 20)))
    check_model(session, "shipped text model", Checkpoint.read(path), path, rng.integers(0, 65, (10, ROWS // 10)))
    check_mixed(session, rng)


if __name__ == "__main__":
    run(checks)
