"""Compares a built wavesynth with likelihoods.py: voices of 16 bits and series models.

    python3 tests/reference/check_likelihoods.py target/release/wavesynth
"""

import json

import numpy as np

from common import Checkpoint, random_tensors, report, run
import check
import check_text
import likelihoods
import reference as ref
import sampling
import text

CHOICES = [(1, 0, 1, 0), (0.8, 0, 1, 0), (1.3, 2, 1, 0), (1, 0, 0.7, 0), (0.9, 0, 1, 0.5), (0, 0, 1, 0)]  # temperature, top-k, top-p, min-p


def said(choice):
    return [x for pair in zip(("--temperature", "--top-k", "--top-p", "--min-p"), choice) for x in pair]


# Voices of 16 bits ---------------------------------------------------------------------------------------------------


def wide_voice(rng, components, preemphasis, narrower=0.0, **changes):
    likelihood = {"name": "logistic_mixture", "components": components, "channels": 1, "levels": 65536}
    model = check.invented(rng, preemphasis, classes=65536, start=32768, likelihood=likelihood, **changes)
    model.tensors["head.1.bias"][2 * components :] -= np.float32(narrower)
    return model


def fixed_voice(session, row, preemphasis=0.0):
    """One logistic, whatever comes before."""
    model = wide_voice(np.random.default_rng(0), 1, preemphasis)
    model.tensors = {name: np.zeros_like(value) for name, value in model.tensors.items()}
    model.tensors["head.1.bias"] = np.array(row, np.float32)
    model.write(session.path("ramp.safetensors"))
    return model


def revealed_levels(session, preemphasis, wav):
    """The symbols that the program makes of a file, by a fixed distribution whose nats fall from level to level."""
    row = [0, 1.01, np.log(0.02)]
    model = fixed_voice(session, row, preemphasis)
    session.run("eval", "-m", "ramp.safetensors", "--per-symbol", "n.npy", wav)
    table = likelihoods.nats(model.likelihood, np.tile(row, (65534, 1)), np.arange(1, 65535))
    higher = np.searchsorted(-table, -session.array("n.npy").astype(float)).clip(1, len(table) - 1)
    return higher + (np.abs(table[higher] - session.array("n.npy")) < np.abs(table[higher - 1] - session.array("n.npy")))


def check_levels(session, rng):
    halves = (np.arange(-301, 300, 2) / 65536 + np.array([[-0.25], [0], [0.25]])).ravel()
    for name, x in ("random", rng.uniform(-0.5, 0.5, 3000)), ("halfway", halves):
        for a in 0.0, 0.85:
            x = x.astype(np.float32)
            check.write_f32_wav(session.path("x.wav"), x, 16000)
            wrong = np.count_nonzero(revealed_levels(session, a, "x.wav") != ref.encode_levels(x, a))
            report(f"levels, {name}, pre-emphasis {a}, differing", wrong, 0, f"of {len(x)}")


def check_limits(session):
    """The widths at the ends of their range, for levels near the mean."""
    symbols = np.tile(np.arange(32758, 32778), 3)
    check.write_f32_wav(session.path("x.wav"), symbols / np.float32(32768) - 1, 16000)
    for width in -30, 30:
        row = [0, 0, width]
        model = fixed_voice(session, row)
        session.run("eval", "-m", "ramp.safetensors", "--per-symbol", "n.npy", "x.wav")
        mine = likelihoods.nats(model.likelihood, np.tile(row, (len(symbols), 1)), symbols)
        report(f"eval, ln s of {width}, nats of a symbol", np.abs(session.array("n.npy") - mine).max(), 1e-4, f"largest {mine.max():.3g}")


def check_wide_voice(session, rng, name, model):
    path, a, count = "own.safetensors", model.voice["preemphasis"], 3200
    track = rng.normal(size=(9, (model.condition or {}).get("features", 0))).astype(np.float32)
    _, args, kw = check.conditions(session, model, track)[-1]
    model.write(session.path(path))
    symbols = rng.integers(0, 65536, 300)
    symbols[:4] = 0, 65535, 0, 32768
    session.array("x.npy", symbols)
    for way in "step", "graph":
        session.run("logits", "-m", path, *args, "--symbols", "x.npy", "--path", way, "-o", "l.npy")
        worst = np.abs(session.array("l.npy") - ref.logits(model, symbols, **kw)).max()
        report(f"parameters, {name}, {way}", worst, 1e-4)

    x = (0.3 * rng.normal(size=2000)).astype(np.float32)
    check.write_f32_wav(session.path("x.wav"), x, 16000)
    found = json.loads(session.run("eval", "-m", path, *args, "--per-symbol", "n.npy", "--json", "x.wav"))
    symbols = ref.encode_levels(ref.recording(session.path("x.wav")), a)
    mine = likelihoods.nats(model.likelihood, ref.logits(model, symbols, **kw), symbols)
    report(f"eval, {name}, nats of a symbol", np.abs(session.array("n.npy") - mine).max(), 1e-3, f"largest {mine.max():.0f}")
    report(f"eval, {name}, mean nats", abs(found["nats_per_symbol"] - mine.mean()), 1e-5, f"{mine.mean():.6f}")

    uniforms = (rng.integers(0, 1 << 24, count) / (1 << 24)).astype(np.float32)
    uniforms[:2] = 0, np.nextafter(np.float32(1), np.float32(0))
    session.array("u.npy", uniforms)
    for choice in CHOICES:
        how = [*said(choice), "-s", count / 16000, "--uniforms", "u.npy", "--format", "f32", "--codes", "c.npy"]
        session.run("render", "-m", path, "--dtype", model.smallest_type(), "--no-post-filter", *args, *how, "-o", "r.wav")
        theirs = session.array("c.npy").astype(int)
        mine, near = likelihoods.draw_levels(model.likelihood, ref.logits(model, theirs, **kw), uniforms, *choice)
        wrong, label = mine != theirs, f"{name}, temperature, top-k, top-p, min-p {choice}"
        report(f"drawing, {label}, levels apart", np.abs(mine - theirs).max(), 1, f"{wrong.sum()} of {count} differ")
        report(f"drawing, {label}, furthest edge of those", near[wrong].max(initial=0), 1e-5)
        sound = ref.cut_off(ref.limited(ref.decode_levels(theirs, a)), 16000)
        apart = np.abs(sound - ref.read_wav(session.path("r.wav"))[0]).max()
        report(f"samples, {label}, apart", apart, 1e-6)


# Series models -------------------------------------------------------------------------------------------------------


def series(rng, family, config, likelihood):
    columns = likelihood.get("dims") or likelihood["channels"]
    about = {"rows": 15, "mean": [1.0 + i for i in range(columns)], "std": [2.0 + i / 2 for i in range(columns)]}
    if "levels" in likelihood:
        about |= {"mean": [0.0] * columns, "std": [1.0] * columns}
    head = {"version": 1, "family": family, "config": config | {"likelihood": likelihood}, "series": about}
    return random_tensors(rng, head)


def read_rows(data):
    """Sequences of rows, as `sample` writes them and as a run reads them."""
    sequences = data.decode().strip("\n").split("\n\n")
    return [np.array([[float(v) for v in row.split(",")] for row in s.split("\n")]) for s in sequences]


def check_series(session, name, model, count=3, length=6, seed=9):
    about, columns = model.head["series"], len(model.head["series"]["mean"])
    model.write(session.path("own.safetensors"))
    for choice in CHOICES:
        how = ["-l", length, "-n", count, "--seed", seed, *said(choice)]
        theirs = read_rows(session.run("sample", "-m", "own.safetensors", *how))
        uniforms, mine = iter(sampling.uniforms(seed, count * length * (columns + 1))), []
        for _ in range(count):
            x = np.zeros((0, columns))
            for _ in range(length):
                row = text.logits(model, np.concatenate([x, np.zeros((1, columns))]))[-1]
                x = np.concatenate([x, [likelihoods.draw_vector(model.likelihood, row, uniforms, *choice)]])
            mine.append(x * about["std"] + about["mean"])
        size = np.maximum(1, np.abs(mine))
        far = np.max(np.abs(np.subtract(theirs, mine)) / size) if np.shape(theirs) == np.shape(mine) else 9
        report(f"series, {name}, temperature, top-k, top-p, min-p {choice}", far, 1e-4)
    theirs = read_rows(session.run("sample", "-m", "own.safetensors"))
    report(f"series, {name}, rows without a length", abs(len(theirs[0]) - about["rows"]), 0)
    with open(session.path("rows.csv"), "w") as f:
        f.write("\n".join(",".join(repr(float(v)) for v in row) for row in theirs[0]) + "\n")
    found = json.loads(session.run("eval", "-m", "own.safetensors", "--per-symbol", "n.npy", "--json", "rows.csv"))
    x = (theirs[0] - about["mean"]) / about["std"]
    mine = likelihoods.nats(model.likelihood, text.logits(model, x), x)
    size = max(1, np.abs(mine).max())
    scaled = mine + np.log(about["std"]).sum()
    report(f"eval, series, {name}, nats of a row", np.abs(session.array("n.npy") - scaled).max() / size, 1e-4)
    report(f"eval, series, {name}, mean nats", abs(found["nats_per_normalised_row"] - mine.mean()) / size, 1e-5)


def check_trained_series(session, rng):
    """What a run says of the sequences that it holds out."""
    data = [np.round(3 * rng.normal(size=(n, 2)) + [1, -4], 6) for n in (7, 20, 5, 12, 9, 4, 30, 8, 6, 11)]
    with open(session.path("rows.csv"), "w") as f:
        f.write("\n\n".join("\n".join(", ".join(map(str, row)) for row in rows) for rows in data) + "\n")
    for components in 1, 3:
        with open(session.path(f"rows{components}.toml"), "w") as f:
            f.write(f'[series]\nfile = "rows.csv"\ncomponents = {components}\nheld_out = 0.3\n')
            f.write('[model]\nfamily = "char_rnn"\ncell = "gru"\nhidden = 8\nlayers = 1\n')
            f.write("[train]\nsteps = 20\nwindow = 16\nbatch = 2\nlearning_rate = 5e-3\neval_every = 20\n")
        session.run("train", f"rows{components}.toml")
        model = Checkpoint.read(session.path(f"runs/rows{components}/series.safetensors"))
        about, heard = model.head["series"], np.concatenate(data[:7])
        far = max(np.abs(about["mean"] - heard.mean(0)).max(), np.abs(about["std"] - heard.std(0)).max())
        report(f"trained series of {components}, mean and std", far, 1e-5)
        x = [(rows - about["mean"]) / about["std"] for rows in data[7:]]
        mine = np.concatenate([likelihoods.nats(model.likelihood, text.logits(model, rows), rows) for rows in x])
        theirs = model.head["training"]["held_out_nats"]
        report(f"trained series of {components}, mean nats held out", abs(mine.mean() - theirs), 1e-5, f"{mine.mean():.6f}")


def checks(session):
    rng = np.random.default_rng(5)
    check_levels(session, rng)
    check_limits(session)
    cond = dict(speakers=2, speaker_dim=4, features=3, context=3, hidden=8, hop=37)
    check_wide_voice(session, rng, "wide logistics", wide_voice(rng, 5, 0.85))
    check_wide_voice(session, rng, "narrow logistics under a condition", wide_voice(rng, 3, 0.5, 4.0, condition=cond))
    vectors = [{"name": "gaussian", "dims": 2}]
    vectors += [{"name": "gaussian_mixture", "components": k, "dims": d} for k, d in ((3, 2), (1, 3), (4, 1))]
    vectors += [{"name": "logistic_mixture", "components": k, "channels": c, "levels": n} for k, c, n in ((4, 3, 256), (1, 2, 16))]
    families = [("char_rnn", dict(cell="lstm", hidden=12, layers=2)), ("char_rnn", dict(cell="gru", hidden=12, layers=1))]
    for family, config in families + [("wavenet", check_text.WAVENET)]:
        for likelihood in vectors:
            name = " ".join(map(str, [config.get("cell", family), *likelihood.values()]))
            check_series(session, name, series(rng, family, config | {"start": 0}, likelihood))
    for width in -30, 30:
        model = series(rng, "char_rnn", families[0][1] | {"start": 0}, vectors[0])
        model.tensors["head.bias"][2:] = width
        check_series(session, f"ln sigma of {width}", model, length=3)
    check_trained_series(session, rng)


if __name__ == "__main__":
    run(checks)
