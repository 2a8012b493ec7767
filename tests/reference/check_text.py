"""Compares a built wavesynth with text.py: the families of text models, their tokenisers and smaller types.

    python3 tests/reference/check_text.py target/release/wavesynth TEXT_MODEL
"""

import json

import numpy as np

from common import Checkpoint, random_tensors, report, run
import checkpoint
import reference as ref
import text

LETTERS = "\n abcdefghijklmnopqrstuvwxyz.,'ÄÖñ—é日😀"
CHARS = {"tokenizer": "chars", "vocabulary": LETTERS}
BYTES = {"tokenizer": "bytes"}
WAVENET = dict(residual_channels=8, gate_channels=12, skip_channels=20, head_channels=28, kernel_size=3, dilations=[1, 3, 9])
GPT = dict(layers=2, heads=3, width=24, context=17, bias=False, tied_head=True)
FAMILIES = [
    ("LSTM", "char_rnn", dict(cell="lstm", hidden=24, layers=2)),
    ("GRU", "char_rnn", dict(cell="gru", hidden=24, layers=3)),
    ("GPT", "gpt", GPT),
    ("GPT with bias and a head of its own", "gpt", GPT | dict(bias=True, tied_head=False, context=32)),
    ("text WaveNet", "wavenet", WAVENET),
    ("bunched text WaveNet", "wavenet", WAVENET | dict(bunch=2)),
]


def invented(rng, family, config, tokenizer=CHARS, gain=2.0, **changes):
    classes = len(text.symbol_bytes(tokenizer))
    start = text.encode(b"\n", tokenizer)[0]
    head = {"version": 1, "family": family, "config": {"classes": classes, "start": start} | config | changes, "text": tokenizer}
    model = random_tensors(rng, head, gain)
    for name, value in model.tensors.items():
        if name.endswith("norm.weight"):
            model.tensors[name] = value + 1
    return model


def check_logits(session, name, model, path, symbols, ways=("step", "graph"), kind=np.int64):
    session.array("x.npy", np.asarray(symbols, kind))
    mine = text.logits(model, symbols)
    for way in ways:
        session.run("logits", "-m", path, "--symbols", "x.npy", "--path", way, "-o", "l.npy")
        worst = np.abs(session.array("l.npy") - mine).max()
        report(f"logits, {name}, {way}", worst, 1e-4, f"largest {np.abs(mine).max():.3g}")


def check_eval(session, name, model, path, words):
    tokenizer = model.head["text"]
    symbols = text.encode(words, tokenizer)
    with open(session.path("words.txt"), "wb") as f:
        f.write(words)
    said = json.loads(session.run("eval", "-m", path, "--per-symbol", "n.npy", "--json", "words.txt"))
    mine, theirs = text.nats(model, text.logits(model, symbols), symbols), session.array("n.npy")
    report(f"eval, {name}, symbols apart", abs(len(theirs) - len(mine)), 0, f"{len(mine)}")
    if len(theirs) == len(mine):
        report(f"eval, {name}, nats of a symbol", np.abs(theirs - mine).max(), 1e-4)
        report(f"eval, {name}, mean nats", abs(said["nats_per_symbol"] - mine.mean()), 1e-5, f"{mine.mean():.6f}")
        per_byte = mine.sum() / np.log(2) / len(words)
        report(f"eval, {name}, bits of a byte", abs(said["bits_per_byte"] - per_byte), 1e-5)


def check_sample(session, name, model, path, prompt, count, seed=1, temperature=1.0, k=0, p=1.0, least=0.0):
    tokenizer = model.head["text"]
    how = ["--temperature", temperature, "--top-k", k, "--top-p", p, "--min-p", least, "--seed", seed, "-l", count]
    theirs = session.run("sample", "-m", path, "--prompt", prompt, *how)
    symbols = text.encode(prompt.encode(), tokenizer)
    mine = prompt.encode() + text.decode(text.sample(model, symbols, ref.uniforms(seed, count), temperature, k, p, least), tokenizer)
    note = "" if mine == theirs else f"{mine!r} and {theirs!r}"
    report(f"sample, {name}, texts differing", int(mine != theirs), 0, note)


def checks(session, path):
    rng = np.random.default_rng(2)
    for name, family, config in FAMILIES:
        model = invented(rng, family, config)
        model.write(session.path("own.safetensors"))
        check_logits(session, name, model, "own.safetensors", rng.integers(0, len(LETTERS), 300))
        check_eval(session, name, model, "own.safetensors", "".join(rng.choice(list(LETTERS), 200)).encode())
        check_sample(session, name, model, "own.safetensors", "a word, ", 80, 5, 0.8)
    model = Checkpoint.read(path)
    check_logits(session, "shipped text model", model, path, rng.integers(0, 65, 300))
    check_eval(session, "shipped text model", model, path, b"ROMEO:\nWhat light through yonder window breaks?\n")


if __name__ == "__main__":
    run(checks)
