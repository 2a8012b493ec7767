"""shapes.py CORPUS PROGRAM RUNS OUT.json [STEP...]: short runs that differ in one thing each, measured side by side.

Steps, all of them by default: train (a run that is there goes on, or is kept), copies (six held-out recordings of each
speaker, i8), speed (wants an idle machine).
"""

import json
import subprocess
import sys
from pathlib import Path

import corpus
from measure import means, one
from program import Program

BASE = {
    "audio": {"sample_rate": 16000, "preemphasis": 0.85},
    "model": {"residual_channels": 64, "skip_channels": 64, "head_channels": 128, "kernel_size": 2, "cycle": 9, "layers": 18,
              "bunch": 1, "speaker_dim": 16, "context": 2, "hidden": 96},
    "train": {"steps": 250, "window": 4800, "batch": 8, "optimizer": "muon", "learning_rate": 1.5e-2, "warmup_steps": 30,
              "final_fraction": 0.01, "ema": 0.98, "input_noise": 0.3, "feature_dropout": 0.15, "dropout_speech": 0.0,
              "eval_every": 250, "eval_seconds": 60, "seed": 1},
}
RUNS = {  # title: what differs
    "as shipped": {},
    "48 channels": {"residual_channels": 48},
    "80 channels": {"residual_channels": 80},
    "12 layers, dilations to 32": {"cycle": 6, "layers": 12},
    "two samples a step": {"bunch": 2, "cycle": 8, "layers": 16},
    "two samples a step, 96 channels": {"bunch": 2, "cycle": 8, "layers": 16, "residual_channels": 96},
    "frames: only the one at hand": {"context": 0},
    "no pre-emphasis": {"preemphasis": 0.0},
    "pre-emphasis 0.95": {"preemphasis": 0.95},
    "no noise on the input": {"input_noise": 0.0},
    "noise of 1 mu-law step on the input": {"input_noise": 1.0},
}
EACH, LEAST_SECONDS, MOST_SECONDS = 6, 1.5, 9  # copies of each speaker


def folder(title):
    return "".join(c if c.isalnum() or c == "." else "-" for c in title)


def run_file(root, out, changes):
    """The run file as text; TOML writes these values as JSON does."""
    sections = {name: dict(values) for name, values in BASE.items()}
    for key, value in changes.items():
        section, = (s for s in sections.values() if key in s)
        section[key] = value
    model = sections["model"]
    dilations = f"dilations = {{ cycle = {model.pop('cycle')}, layers = {model.pop('layers')} }}\n"
    sections = {"corpus": {"root": str(root), "speakers": corpus.SPEAKERS}} | sections
    sections["train"]["out"] = str(out)
    lines = {name: "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items()) for name, values in sections.items()}
    lines["model"] += dilations
    return "\n".join(f"[{name}]\n{text}" for name, text in lines.items())


def train(root, binary, out, changes):
    file = out.with_suffix(".toml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(run_file(root.resolve(), out.resolve(), changes))
    resume = ["--resume"] if (out / "state.safetensors").exists() else []
    subprocess.run([binary, "train", file, *resume], check=True)
    log = (out / "log.csv").read_text().splitlines()
    last = dict(zip(log[0].split(","), log[-1].split(",")))
    if int(last["step"]) < BASE["train"]["steps"]:
        raise SystemExit(f"{file}: stopped at step {last['step']}; the same command goes on")
    return {"nats": float(last["held_out_nats"]), "samples": int(last["samples"]), "seconds": float(last["seconds"])}


def copies(root, binary, out):
    program, jobs = Program(binary, out / "voice.safetensors", out / "speakers"), []
    for speaker in corpus.SPEAKERS:
        chosen = [row for row in corpus.rows(root, speaker, "test") if LEAST_SECONDS < row[1] < MOST_SECONDS][:EACH]
        files = [root / speaker / f"{utt}.wav" for utt, _, _ in chosen]
        program.run("copy", *program.model, "--dtype", "i8", "-c", program.speaker(speaker), *files,
                    "-o", out / "copies" / speaker)
        jobs += [(root, out / "copies", speaker, *row) for row in chosen]
    return {"copies": means(corpus.each(one, jobs))}


def speed(binary, out):
    def times(dtype):
        arguments = ["bench", "throughput", "-m", out / "voice.safetensors", "--dtype", dtype, "--json"]
        done = subprocess.run(["taskset", "-c", "0", binary, *arguments], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)[0]

    found = {dtype: times(dtype) for dtype in ("f32", "f16", "i8")}
    return {"times_real_time": {d: r["times_real_time"] for d, r in found.items()},
            "macs_per_symbol": found["f32"]["macs_per_symbol"],
            "megabytes": (out / "voice.safetensors").stat().st_size / 1e6}


def main():
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    root, binary, runs, output = map(Path, sys.argv[1:5])
    results = json.loads(output.read_text()) if output.exists() else {}
    for step in sys.argv[5:] or ["train", "copies", "speed"]:
        for title, changes in RUNS.items():
            out = runs / folder(title)
            work = {"train": lambda: train(root, binary, out, changes), "copies": lambda: copies(root, binary, out),
                    "speed": lambda: speed(binary, out)}
            results.setdefault(title, {}).update(work[step]())
            corpus.save(output, results)


if __name__ == "__main__":
    main()
