"""Compares a built wavesynth with text.py: the families of text models, their tokenisers and smaller types.

    python3 tests/reference/check_text.py target/release/wavesynth TEXT_MODEL
"""

import json
import os

import numpy as np

from checkpoint import read_safetensors
from common import Checkpoint, random_tensors, report, run
import sampling
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


def check_eval(session, name, model, path, *texts):
    tokenizer, files, each = model.head["text"], [], []
    for i, words in enumerate(texts):
        files.append(f"words{i}.txt")
        with open(session.path(files[-1]), "wb") as f:
            f.write(words)
        symbols = text.encode(words, tokenizer)
        each.append(text.nats(model, text.logits(model, symbols), symbols))
    said = json.loads(session.run("eval", "-m", path, "--per-symbol", "n.npy", "--json", *files))
    mine, theirs = np.concatenate(each), session.array("n.npy")
    report(f"eval, {name}, symbols apart", abs(len(theirs) - len(mine)), 0, f"{len(mine)}")
    if len(theirs) == len(mine):
        report(f"eval, {name}, nats of a symbol", np.abs(theirs - mine).max(), 1e-4)
        report(f"eval, {name}, mean nats", abs(said["nats_per_symbol"] - mine.mean()), 1e-5, f"{mine.mean():.6f}")
        per_byte = mine.sum() / np.log(2) / sum(map(len, texts))
        report(f"eval, {name}, bits of a byte", abs(said["bits_per_byte"] - per_byte), 1e-5)


def check_sample(session, name, model, path, prompt, count, seed=1, *choice):
    how = [x for pair in zip(("--temperature", "--top-k", "--top-p", "--min-p"), choice) for x in pair]
    theirs = session.run("sample", "-m", path, "--prompt", prompt, "--seed", seed, "-l", count, *how)
    symbols = text.encode(prompt.encode(), model.head["text"])
    mine = text.decode(symbols + text.sample(model, symbols, sampling.uniforms(seed, count), *choice), model.head["text"])
    note = "" if mine == theirs else f"{mine!r} and {theirs!r}"
    report(f"sample, {name}, texts differing", int(mine != theirs), 0, note)


# A text that is hard to cut into pieces.
HARD = "I'll don't 'tis o'REILLY we've\tX\n\n  y 12ab_3 \u00a0q\u2003z\x85 \x1c a\u0301 ½x Ⅷ \u200b₂ 'S\r\n  日本😀 's٣x \u3000 \x0b.\f-- .\xa0.\xa0a\xa01\x85.\x85a\x851\x1c.\x1ca\x1c1 trail   "


def pairs_of(rng, section, words):
    """A BPE like the trained one with every pair of neighbours in a text as a token: so the symbols tell the cuts."""
    letters = [text.LETTER[b] for b in words.encode()]
    merges = sorted(set(zip(letters, letters[1:])))
    tokens = [text.LETTER[b] for b in range(256)] + ["".join(merges[i]) for i in rng.permutation(len(merges))]
    merges = [list(merges[i]) for i in rng.permutation(len(merges))]
    model = section["vocabulary"]["model"] | {"vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}
    return section | {"vocabulary": section["vocabulary"] | {"model": model}}


def check_tokenisers(session, rng, section):
    """Texts and samples of Char-RNNs. `section` is that of a BPE."""
    cases = [("characters", CHARS), ("bytes", BYTES), ("byte pairs", section)]
    cases += [(f"all byte pairs, {i}", pairs_of(rng, section, HARD)) for i in range(3)]
    for name, tokenizer in cases:
        model = invented(rng, "char_rnn", dict(cell="lstm", hidden=16, layers=1), tokenizer)
        model.write(session.path("own.safetensors"))
        words = LETTERS if tokenizer is CHARS else HARD
        inputs = [words.encode(), b"\xff\xc3(\xe6\x97" if tokenizer is BYTES else b"a word\n"]
        check_eval(session, name, model, "own.safetensors", *inputs)
        check_sample(session, name, model, "own.safetensors", "é日 a", 120)
        check_sample(session, f"{name}, no prompt", model, "own.safetensors", "", 40)


def check_likelihoods(session, rng):
    """Texts under likelihoods of their own."""
    levels = {"name": "logistic_mixture", "components": 3, "channels": 1, "levels": 256}
    cases = [("bernoulli", {"name": "bernoulli"}, {"tokenizer": "chars", "vocabulary": "\nx"}), ("logistic bytes", levels, BYTES)]
    for family, config in ("char_rnn", dict(cell="gru", hidden=12, layers=2)), ("wavenet", WAVENET):
        for name, likelihood, tokenizer in cases:
            model = invented(rng, family, config, tokenizer, 1.0, likelihood=likelihood)
            model.write(session.path("own.safetensors"))
            name = f"{name}, {family}"
            check_logits(session, name, model, "own.safetensors", rng.integers(0, model.config["classes"], 100))
            check_eval(session, name, model, "own.safetensors", b"x\nxx\n\nxxx" * 5)
            for choice in (1.0,), (0.7, 0, 1.0, 0.8), (0.0,):
                check_sample(session, f"{name}, {choice}", model, "own.safetensors", "x\n", 80, 3, *choice)


def check_given():
    """An LSTM that is given numbers for every step, against PyTorch's logits."""
    golden = os.path.join(os.path.dirname(__file__), "../../models/tests/models/golden/char_rnn_given")
    model, (_, wanted) = Checkpoint.read(golden + ".safetensors"), read_safetensors(golden + ".golden.safetensors")
    mine = text.char_rnn(model, wanted["symbols"].astype(int), wanted["given"].astype(np.float64))
    report("logits, a condition, PyTorch", np.abs(mine - wanted["logits"]).max(), 1e-5)


def trained(session, name, words, tokenizer, order, most=100000):
    """An n-gram, and what its contexts should hold, by their symbols: counts of the training part."""
    with open(session.path("corpus.txt"), "wb") as f:
        f.write(words)
    table = f'[text]\nfile = "corpus.txt"\ntokenizer = {tokenizer}\nheld_out = 0.1\n'
    with open(session.path(f"{name}.toml"), "w") as f:
        f.write(table + f'[model]\nfamily = "ngram"\norder = {order}\nmax_entries = {most}\n')
    session.run("train", f"{name}.toml")
    path = session.path(f"runs/{name}/text.safetensors")
    return path, Checkpoint.read(path)


def check_images(session, rng):
    """Families of sequences of a fixed length, here read as characters: two sequences and the beginning of a third."""
    order = {"sites": {"sites": [int(i) for i in rng.permutation(12)]}}
    grid = {"grid": {"height": 3, "width": 4}}
    gpts = [("gpt", GPT | dict(context=12)), ("gpt", GPT | dict(context=12, positions=grid, bias=True))]
    networks = gpts + [("nade", dict(hidden=24)), ("made", dict(hidden=[40], direct=True)), ("made", dict(hidden=[50, 30], direct=False))]
    levels = {"name": "logistic_mixture", "components": 3, "channels": 1, "levels": 256}
    cases = [("softmax", None, CHARS), ("bernoulli", {"name": "bernoulli"}, {"tokenizer": "chars", "vocabulary": "\nx"})]
    for name, likelihood, tokenizer in cases + [("logistic bytes", levels, BYTES)]:
        for family, config in networks:
            given = {"likelihood": likelihood} if likelihood else {}
            if family == "gpt" and likelihood:
                given["tied_head"] = False
            model = invented(rng, family, config | {"order": order}, tokenizer, 1.0, **given)
            model.write(session.path("own.safetensors"))
            symbols, what = rng.integers(0, model.config["classes"], 29), f"{name}, {family} {config.get('hidden', '')}"
            check_logits(session, what, model, "own.safetensors", symbols, ["step"])
            check_logits(session, f"{what}, one sequence", model, "own.safetensors", symbols[:12])


def check_counts(name, model, words, most):
    counts, found = text.counted(model, text.training_part(words, 0.1)), text.contexts(model)
    counts = text.limited(counts, most)
    report(f"counts, {name}, contexts in one only", len(counts.keys() ^ found.keys()), 0, f"of {len(counts)}")
    backoff = max(abs(text.witten_bell(counts[h])[0] - found[h][0]) for h in counts if h in found)
    weight = max(abs(w - found[h][1].get(x, 9)) for h in counts if h in found for x, w in text.witten_bell(counts[h])[1].items())
    report(f"counts, {name}, backoff and weights", max(backoff, weight), 1e-7)


def check_ngrams(session, rng, corpus):
    """Gives the section of the byte pairs."""
    words = corpus + "Ünïcode “quotes” don't  two\tspaces\r\n日本 😀\n".encode()
    cases = [("characters", '"chars"', 5, 10**5), ("few", '"chars"', 4, 1500), ("pairs", "{ bpe = 400 }", 3, 10**5)]
    for name, tokenizer, order, most in cases:
        path, model = trained(session, name, words, tokenizer, order, most)
        symbols = text.encode(words, model.head["text"])[:200]
        name = f"n-gram, {name}"
        check_counts(name, model, words, most)
        check_logits(session, name, model, path, symbols, ["step"])
        check_logits(session, f"{name}, random", model, path, rng.integers(0, model.config["classes"], 200), ["step"])
        check_eval(session, name, model, path, words[-300:])
        check_sample(session, name, model, path, "The ", 60, 2, 0.9, 20)
    return model.head["text"]


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
    corpus = session.run("sample", "-m", path, "-l", 4000, "--seed", 1)
    check_tokenisers(session, rng, check_ngrams(session, rng, corpus))
    check_likelihoods(session, rng)
    check_given()
    check_images(session, rng)


if __name__ == "__main__":
    run(checks)
