"""Compares a built wavesynth with reference.py, the implementation made from docs/formats.md.

    python3 tests/reference/check.py target/release/wavesynth MODEL RECORDING.wav...

Needs numpy. Prints a line a check with the measured difference and its limit; exits with 1 where one is passed.
The model is any checkpoint of a voice; of a model with speakers the first one speaks. Recordings of 1 to 3 s do; with five
seconds of speech in all of them together, their speaker's way to the common space is compared, too.
"""

import json
import os
import struct

import numpy as np

from common import Checkpoint, random_tensors, report, run
import features as feat
import reference as ref
import sampling


def write_f32_wav(path, x, rate):
    """Samples [T] or [T, channels]."""
    data, n = np.asarray(x, "<f4").tobytes(), np.size(x) // len(x)
    fmt = struct.pack("<IHHIIHH", 16, 3, n, rate, 4 * n * rate, 4 * n, 32)
    head = b"WAVEfmt " + fmt + b"data" + struct.pack("<I", len(data))
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data)


def voice(preemphasis=0.0, speakers=0):
    stats = {"mean": [0.0] * 16, "std": [1.0] * 16, "median_f0_hz": 100.0}
    named = [{"name": f"s{i}", "stats": stats} for i in range(speakers)]
    out = {"sample_rate": 16000, "preemphasis": preemphasis, "recipe": "cep16-f0-v1", "space": "made here"}
    return out | {"speakers": named}


def invented(rng, preemphasis=0.0, **changes):
    """A voice of random tensors."""
    config = dict(classes=256, start=128, residual_channels=8, gate_channels=12, skip_channels=20, head_channels=28)
    config |= dict(kernel_size=3, dilations=[1, 3, 9, 27, 2]) | changes
    speakers = (config.get("condition") or {}).get("speakers", 0)
    return random_tensors(rng, {"version": 1, "family": "wavenet", "config": config, "voice": voice(preemphasis, speakers)})


def conditions(session, model, track):
    """(label, arguments for the program, arguments for reference.logits) of the ways to condition a model."""
    cond = model.condition
    if not cond:
        return [("no condition", [], {})]
    who = {}
    if cond["speaker_dim"]:
        who["speaker"] = model.tensors["cond.speakers"][0]
        ref.write_condition(session.path("who.bin"), space=model.voice["space"], **who)
    out = [("speaker", ["-c", "who.bin"] if who else [], who)]
    if cond["features"]:
        made = dict(recipe=model.voice["recipe"], sample_rate=model.voice["sample_rate"], hop=cond["hop"])
        ref.write_condition(session.path("what.bin"), track=track, **made)
        out.append(("speaker and track", out[0][1] + ["-t", "what.bin"], who | {"track": track, "flag": ref.anothers_flag(model)}))
    return out


def check_logits(session, name, model, path, symbols, track):
    session.array("x.npy", symbols)
    for label, args, kw in conditions(session, model, track):
        mine = ref.logits(model, symbols, **kw)
        for reading in "step", "graph":
            session.run("logits", "-m", path, *args, "--symbols", "x.npy", "--path", reading, "-o", "l.npy")
            worst = np.abs(session.array("l.npy") - mine).max()
            # Single precision has some seven digits, however large a logit is.
            limit = max(1e-4, 4e-6 * np.abs(mine).max())
            report(f"logits, {name}, {label}, {reading}", worst, limit, f"largest logit {np.abs(mine).max():.3g}")


def check_conversion(session, model, path, symbols, track):
    """The first speaker says tracks of the second, known by file or by number, and of a stranger."""
    own, other = (s["stats"] for s in model.voice["speakers"][:2])
    stranger = {k: v for k, v in own.items() if k != "common"} | {"median_f0_hz": 99.5}
    vector = model.tensors["cond.speakers"][0]
    made = dict(recipe=model.voice["recipe"], sample_rate=model.voice["sample_rate"], hop=model.condition["hop"])
    ref.write_condition(session.path("who.bin"), space=model.voice["space"], speaker=vector, stats=own)
    session.array("x.npy", symbols)
    plain = {k: v for k, v in other.items() if k != "common"}
    for label, stats in (("another", other), ("named only", plain), ("a stranger", stranger)):
        ref.write_condition(session.path("what.bin"), track=track, stats=stats, **made)
        session.run("logits", "-m", path, "-c", "who.bin", "-t", "what.bin", "--symbols", "x.npy", "-o", "l.npy")
        said, frames = feat.converted(model, vector, own, track, stats)
        flag = ref.anothers_flag(model)
        mine = ref.logits(model, symbols, speaker=said, track=frames, flag=flag)
        far = np.abs(mine - ref.logits(model, symbols, speaker=vector, track=track, flag=flag)).max()
        report(f"logits, track of {label}", np.abs(session.array("l.npy") - mine).max(), 1e-3, f"unconverted {far:.2g} away")


def check_adaptation(session, model, path, rng, symbols, track):
    """The first speaker, adapted, says a track of his own that the voice reads in the second one's numbers."""
    own, reads = (s["stats"] for s in model.voice["speakers"][:2])
    vector, change = model.tensors["cond.speakers"][0], {}
    for name in [n for n in model.tensors if n.startswith("cond.hidden.") or ".cond." in n or n.endswith(".gate.bias")]:
        shape = model.tensors[name].shape
        factors = {".down": (shape[0], 3), ".up": (3, shape[-1])} if name.endswith(".weight") else {"": shape}
        change |= {name + end: (0.05 * rng.normal(size=s)).astype(np.float32) for end, s in factors.items()}
    made = dict(recipe=model.voice["recipe"], sample_rate=model.voice["sample_rate"], hop=model.condition["hop"])
    who = dict(space=model.voice["space"], speaker=vector, stats=own)
    ref.write_condition(session.path("who.bin"), **who, adaptation=change, reads=reads)
    ref.write_condition(session.path("what.bin"), track=track, stats=own, **made)
    session.array("x.npy", symbols)
    session.run("logits", "-m", path, "-c", "who.bin", "-t", "what.bin", "--symbols", "x.npy", "-o", "l.npy")
    mine = ref.logits(ref.adapted(model, change), symbols, speaker=vector, track=feat.renumbered(track, own, reads))
    far = np.abs(mine - ref.logits(model, symbols, speaker=vector, track=track)).max()
    report("logits, adapted", np.abs(session.array("l.npy") - mine).max(), 1e-3, f"unadapted {far:.2g} away")
    ref.write_condition(session.path("both.bin"), **who, **made, track=track, adaptation=change, reads=reads, speaker_stats=own)
    session.run("logits", "-m", path, "-c", "both.bin", "--symbols", "x.npy", "-o", "l.npy")
    report("logits, adapted, in one file", np.abs(session.array("l.npy") - mine).max(), 1e-3)


def check_alignment(session, model, path, recordings):
    """A stranger's way to the common space, from all recordings together."""
    session.run("condition", "track", recordings[0], "-m", path, "--speaker-recordings", *recordings, "-o", "track.bin")
    theirs = ref.read_condition(session.path("track.bin"))[0]["stats"].get("common")
    rows = [feat.features(ref.recording(r)) for r in recordings]
    stats = feat.statistics(rows)
    frames_of_speech = np.concatenate([feat.speech_rows(feat.normalised(r, stats)) for r in rows])
    if len(frames_of_speech) < 500:
        report("alignment of too little speech, found", int(theirs is not None), 0)
        return
    mine = feat.fit(feat.codebook(frames_of_speech), feat.common_codebook(model.voice))
    for key in "matrix", "offset":
        report(f"alignment, {key}", np.abs(mine[key] - theirs[key]).max(), 0.02, f"of {len(frames_of_speech)} frames")


def check_features(session, recording):
    name = os.path.basename(recording)
    session.run("condition", "track", recording, "-o", "track.bin")
    head, tensors = ref.read_condition(session.path("track.bin"))
    rows = feat.features(ref.recording(recording))
    stats = feat.statistics([rows])
    theirs = head["stats"]
    far = max(np.abs(np.subtract(theirs[k], stats[k])).max() for k in ("mean", "std"))
    report(f"statistics, {name}, mean and std", far, 1e-3)
    report(f"statistics, {name}, median F0 in Hz", abs(theirs["median_f0_hz"] - stats["median_f0_hz"]), 1e-2)
    d = np.abs(tensors["track"] - feat.normalised(rows, stats))
    other = (tensors["track"][:, 17] > 0) != (rows[:, 17] > 0)
    report(f"features, {name}, frames voiced in one only", other.sum(), 0.01 * len(rows), f"of {len(rows)}")
    report(f"features, {name}, cepstra", d[:, :16].max(), 2e-3, f"mean {d[:, :16].mean():.2g}")
    report(f"features, {name}, pitch", np.median(d[:, 16]), 1e-3, f"max {d[:, 16].max():.2g}")
    report(f"features, {name}, voicing", d[~other, 17].max(), 1e-3, f"mean {d[:, 17].mean():.2g}")


def revealed_codes(session, preemphasis, wav):
    """The codes that the program makes of a file: a model whose logits are a ramp, so nats tell the symbol."""
    model = invented(np.random.default_rng(0), preemphasis)
    model.tensors = {name: np.zeros_like(value) for name, value in model.tensors.items()}
    ramp = model.tensors["head.1.bias"] = np.arange(256, dtype=np.float32) / 16
    model.write(session.path("ramp.safetensors"))
    session.run("eval", "-m", "ramp.safetensors", "--per-symbol", "n.npy", wav)
    return np.rint(16 * (np.log(np.exp(ramp.astype(float)).sum()) - session.array("n.npy"))).astype(int)


def check_codes(session, recording):
    name = os.path.basename(recording)
    x = ref.recording(recording)
    for a in 0.0, 0.85:
        mine, theirs = ref.encode(x, a), revealed_codes(session, a, recording)
        report(f"codes, {name}, pre-emphasis {a}, differing", np.count_nonzero(mine != theirs), 1e-4 * len(mine))


def check_rates(session, rng):
    for rate in 22050, 44100, 48000, 8000, 47999:
        x = (0.02 * rng.normal(size=rate // 4)).astype(np.float32)
        x[:50] += 0.3
        check_rate(session, f"resampling {rate} Hz", x, rate, 0.0)
    check_rate(session, "beyond full scale", (0.6 * rng.normal(size=(3000, 2))).astype(np.float32), 16000, 0.85)
    check_rate(session, "beyond full scale, 48000 Hz", (0.6 * rng.normal(size=6000)).astype(np.float32), 48000, 0.85)


def check_rate(session, name, x, rate, preemphasis):
    write_f32_wav(session.path("rate.wav"), x, rate)
    mine = ref.encode(ref.recording(session.path("rate.wav")), preemphasis)
    theirs = revealed_codes(session, preemphasis, "rate.wav")
    report(f"{name}, codes apart", np.abs(mine - theirs).max(), 1)
    report(f"{name}, codes differing", np.count_nonzero(mine != theirs), 0.001 * len(mine))


def check_eval(session, model, path, recording):
    x = ref.recording(recording)[:32000]
    write_f32_wav(session.path("part.wav"), x, 16000)
    codes = revealed_codes(session, model.voice["preemphasis"], "part.wav")  # check_codes compares these
    args, kw = [], {}
    if model.condition:
        rows = feat.features(x)
        _, args, kw = conditions(session, model, feat.normalised(rows, feat.statistics([rows])))[-1]
    mine = ref.nats(ref.logits(model, codes, **kw), codes)
    ways = [("", args)]
    if "track" in kw:
        ways.append((", its own track", args[: args.index("-t")]))
    for label, given in ways:
        said = json.loads(session.run("eval", "-m", path, *given, "--per-symbol", "n.npy", "--json", "part.wav"))
        report(f"eval{label}, nats of a symbol", np.abs(session.array("n.npy") - mine).max(), 1e-3)
        report(f"eval{label}, mean nats", abs(said["nats_per_symbol"] - mine.mean()), 1e-5, f"{mine.mean():.6f}")


def check_sampling(session, model, path, rng, track):
    count, a = 3200, model.voice["preemphasis"]
    uniforms = (rng.integers(0, 1 << 24, count) / (1 << 24)).astype(np.float32)
    uniforms[:2] = 0, np.nextafter(np.float32(1), np.float32(0))
    session.array("u.npy", uniforms)
    _, args, kw = conditions(session, model, track)[-1]
    # As it is stored, and as it is drawn.
    args = ["-m", path, "--dtype", model.smallest_type(), "--no-post-filter", *args]
    sound = lambda codes: ref.cut_off(ref.limited(ref.decode(codes, a)), 16000)
    for temperature, k, p, least in (1, 0, 1, 0), (0.8, 0, 1, 0), (1.3, 5, 1, 0), (1, 0, 0.9, 0), (0.7, 40, 0.5, 0), (0.9, 0, 1, 0.15), (0, 0, 1, 0):
        how = ["--temperature", temperature, "--top-k", k, "--top-p", p, "--min-p", least, "-s", count / 16000, "--uniforms", "u.npy"]
        session.run("render", *args, *how, "-o", "r.wav", "--codes", "c.npy")
        codes = session.array("c.npy").astype(int)
        rows = ref.logits(model, codes, **kw)
        drawn = [sampling.draw(row, u, temperature, k, p, least) for row, u in zip(rows, uniforms)]
        wrong = [edge for (i, edge), code in zip(drawn, codes) if i != code]
        note = f"nearest interval edge at most {max(wrong):.2g} away" if wrong else ""
        label = f"temperature {temperature}, top-k {k}, top-p {p}, min-p {least}"
        report(f"sampling, {label}, differing", len(wrong), 0.002 * count, note)
        report(f"sampling, {label}, furthest edge of those", max(wrong, default=0), 1e-4)
        mine = ref.to_s16(sound(codes)).astype(int)
        theirs = np.rint(32768 * ref.read_wav(session.path("r.wav"))[0]).astype(int)
        note = f"{np.count_nonzero(mine != theirs)} of {count} differ"
        report(f"16-bit samples, {label}, LSB apart", np.abs(mine - theirs).max(), 1, note)
    session.run("render", *args, "-s", 0.2, "--format", "f32", "-o", "r.wav", "--codes", "c.npy")
    apart = np.abs(sound(session.array("c.npy")) - ref.read_wav(session.path("r.wav"))[0]).max()
    report("floating-point samples apart", apart, 1e-6)
    for seed in 0, 7, (1 << 64) - 1:
        session.run("render", *args, "-s", 0.1, "--seed", seed, "-o", "r.wav", "--codes", "c.npy")
        session.array("u.npy", sampling.uniforms(seed, 1600))
        session.run("render", *args, "-s", 0.1, "--uniforms", "u.npy", "-o", "r.wav", "--codes", "d.npy")
        apart = np.count_nonzero(session.array("c.npy") != session.array("d.npy"))
        report(f"uniform numbers of seed {seed}, symbols differing", apart, 0)


def checks(session, path, *recordings):
    rng = np.random.default_rng(1)
    model = Checkpoint.read(path)
    width = (model.condition or {}).get("features", 0)
    track = np.clip(rng.normal(size=(12, width)), -4, 4).astype(np.float32)
    check_logits(session, "model", model, path, rng.integers(0, 256, 2005), track)
    cond = dict(speakers=2, speaker_dim=4, features=3, context=3, hidden=0, hop=37)
    cases = [("kernel 3", {}), ("condition without hidden layers", {"condition": cond})]
    cases += [("bunches of 3", {"bunch": 3}), ("bunches of 4 under a condition", {"bunch": 4})]
    cases[-1][1]["condition"] = cond | {"hop": 36}
    for name, changes in cases:
        own = invented(rng, **changes)
        own.write(session.path("own.safetensors"))
        track3 = rng.normal(size=(9, 3)).astype(np.float32)
        check_logits(session, name, own, "own.safetensors", rng.integers(0, 256, 1000), track3)
    if "common" in model.voice:
        check_conversion(session, model, path, rng.integers(0, 256, 1000), track)
        check_adaptation(session, model, path, rng, rng.integers(0, 256, 1000), track)
        check_alignment(session, model, path, recordings)
    for recording in recordings:
        check_features(session, recording)
        check_codes(session, recording)
    check_rates(session, rng)
    check_eval(session, model, path, recordings[0])
    check_sampling(session, model, path, rng, track)


if __name__ == "__main__":
    run(checks)
