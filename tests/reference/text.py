"""The families of text models and their tokenisers: Char-RNN, GPT and n-grams of docs/formats.md, in numpy."""

import math
import re
import unicodedata

import numpy as np

import fixed_length
import likelihoods
import pixel_cnn
import reference as ref
import sampling

# Char-RNN: from symbols to logits ------------------------------------------------------------------------------------


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


def char_rnn(model, values, given=None):
    """[T, classes], or [T, P] under a likelihood; `given` [T, F] is the condition."""
    config, w = model.config, model.values
    inputs = likelihoods.entering(config, w("layer.0.input.weight"), values)
    for l in range(config["layers"]):
        u = w(f"layer.{l}.bias") + (model.product(inputs, f"layer.{l}.input.weight") if l else inputs)
        if l == 0 and given is not None:
            u = u + given @ w("condition.weight")
        inputs = recurrent(model, l, u)
    return model.product(inputs, "head.weight") + w("head.bias")


def recurrent(model, l, u):
    """[T, H]: h_l of every row."""
    size = model.config["hidden"]
    h, c, out = np.zeros(size), np.zeros(size), np.empty((len(u), size))
    name = f"layer.{l}.recurrent.weight"
    whole = None if model.rounded else model.values(name)
    candidate = model.values(f"layer.{l}.candidate.bias")
    for t, row in enumerate(u):
        m = h @ whole if whole is not None else model.product(h, name)
        if model.config["cell"] == "lstm":
            i, f, g, o = np.split(row + m, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (ur, uz, un), (mr, mz, mn) = np.split(row, 3), np.split(m, 3)
            r, z = sigmoid(ur + mr), sigmoid(uz + mz)
            h = (1 - z) * np.tanh(un + r * (mn + candidate)) + z * h
        out[t] = h
    return out


# GPT: from symbols to logits -----------------------------------------------------------------------------------------


def normed(model, x, name):
    """norm(x) without the bias."""
    x = x - x.mean(1, keepdims=True)
    return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-5) * model.values(name + ".weight")


def bias(model, name):
    value = model.values(name + ".bias")
    return 0 if value is None else value


def linear(model, x, name, norm=None):
    """x or norm(x), times a matrix. A rounded product takes norm(x) without its bias, whose own product is exact."""
    if norm is None:
        return model.product(x, name + ".weight") + bias(model, name)
    shift = bias(model, norm) + np.zeros(x.shape[1])
    return linear(model, normed(model, x, norm), name) + shift @ model.values(name + ".weight")


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def positions(model):
    """[C, W]: a row for each step, or the sum of those of places on a grid."""
    config, w = model.config, model.values
    if "positions" not in config:
        return w("input.position")
    y, x = np.divmod(np.array(config["order"]["sites"]["sites"]), config["positions"]["grid"]["width"])
    out = w("input.row")[y] + w("input.column")[x]
    out[1:] += w("input.entering.row")[y[:-1]] + w("input.entering.column")[x[:-1]]
    return out


def residuals(model, entering):
    """[positions, W] behind the last layer, of what enters one window, [positions, W]."""
    config = model.config
    heads, width = config["heads"], config["width"]
    r = entering + positions(model)[: len(entering)]
    later = np.triu(np.full((len(r), len(r)), -np.inf), 1)
    for l in range(config["layers"]):
        qkv = linear(model, r, f"layer.{l}.attention.qkv", f"layer.{l}.attention.norm")
        q, k, v = (part.reshape(len(r), heads, -1).swapaxes(0, 1) for part in np.split(qkv, 3, 1))
        scores = q @ k.swapaxes(1, 2) / math.sqrt(width / heads) + later
        a = np.exp(likelihoods.log_softmax(scores)) @ v
        r = r + linear(model, a.swapaxes(0, 1).reshape(len(r), width), f"layer.{l}.attention.out")
        up = linear(model, r, f"layer.{l}.mlp.up", f"layer.{l}.mlp.norm")
        r = r + linear(model, gelu(up), f"layer.{l}.mlp.down")
    return r


def window(model, entering):
    """[positions, classes] of the same."""
    config, r = model.config, residuals(model, entering)
    if config["tied_head"]:
        return (normed(model, r, "output.norm") + bias(model, "output.norm")) @ model.values("input.embed").T
    return linear(model, r, "output.head", "output.norm")


def class_log_p(model, values):
    """ln p of every class behind 1 … N steps of one image, [N, K]."""
    r = residuals(model, likelihoods.entering(model.config, model.values("input.embed"), values))
    mean = r.cumsum(0) / np.arange(1, len(r) + 1)[:, None]
    mean = mean - mean.mean(1, keepdims=True)
    mean = mean / np.sqrt((mean**2).mean(1, keepdims=True) + 1e-5)
    return likelihoods.log_softmax(mean @ model.values("output.classifier.weight") + model.values("output.classifier.bias"))


def gpt(model, symbols):
    config, context = model.config, model.config["context"]
    entering = lambda values: likelihoods.entering(config, model.values("input.embed"), values)
    if "order" in config:
        sequences = [symbols[at : at + context] for at in range(0, len(symbols), context)]
        return np.concatenate([window(model, entering(values)) for values in sequences])
    step, rows = -(-context // 2), entering(symbols)
    out = [window(model, rows[:context])]
    done = context
    while done < len(rows):
        first = ((done - context) // step + 1) * step
        out.append(window(model, rows[first : first + context])[done - first :])
        done = first + context
    return np.concatenate(out)


# N-grams: from counts to logits --------------------------------------------------------------------------------------


def ngram(model, symbols):
    config, w = model.config, model.values
    symbol, children, entries = (w(f"context.{k}").astype(int) for k in ("symbol", "children", "entries"))
    backoff, x, weight = w("context.backoff"), w("entry.symbol").astype(int), w("entry.weight")
    history = np.concatenate([np.full(config["order"], config["start"]), symbols]).astype(int)
    out = np.empty((len(symbols), config["classes"]))
    for t in range(len(symbols)):
        p, i = np.full(config["classes"], 1 / config["classes"]), 0
        for k in range(config["order"]):
            here = slice(entries[i], entries[i + 1])
            p *= backoff[i]
            p[x[here]] += weight[here]
            a, b = children[i], children[i + 1]
            at = a + np.searchsorted(symbol[a:b], history[config["order"] + t - 1 - k])
            if at == b or symbol[at] != history[config["order"] + t - 1 - k]:
                break
            i = at
        out[t] = np.log(p)
    return out


def contexts(model):
    """A table's contexts by their symbols, the oldest first: (backoff, {symbol: weight})."""
    t, found, all_of = model.tensors, {0: ()}, {}
    children, entries = t["context.children"].astype(int), t["context.entries"].astype(int)
    for i in range(len(t["context.symbol"])):
        for child in range(children[i], children[i + 1]):
            found[child] = (int(t["context.symbol"][child]), *found[i])
        here = slice(entries[i], entries[i + 1])
        all_of[found[i]] = t["context.backoff"][i], dict(zip(t["entry.symbol"][here].astype(int), t["entry.weight"][here]))
    return all_of


def training_part(words, held_out):
    at = math.floor(len(words) * (1 - held_out))
    while at < len(words) and words[at] & 0xC0 == 0x80:
        at += 1
    return words[:at]


def counted(model, words):
    """{context: {symbol: count}} of a training text."""
    ahead = model.config["order"] - 1
    symbols = [model.config["start"]] * ahead + encode(words, model.head["text"])
    counts = {(): {}}
    for t in range(ahead, len(symbols)):
        for k in range(ahead + 1):
            here = counts.setdefault(tuple(symbols[t - k : t]), {})
            here[symbols[t]] = here.get(symbols[t], 0) + 1
    return counts


def limited(counts, most):
    """Without the rarest contexts, where the table has room for `most` entries."""
    least = 0
    while sum(map(len, counts.values())) > most:
        least += 1
        counts = {h: c for h, c in counts.items() if h == () or sum(c.values()) > least}
    return counts


def witten_bell(counts):
    whole = sum(counts.values()) + len(counts)
    return len(counts) / whole, {x: c / whole for x, c in counts.items()}


def logits(model, symbols):
    """[T, classes] of any family."""
    ways = {"wavenet": ref.logits, "char_rnn": char_rnn, "gpt": gpt, "ngram": ngram, "nade": fixed_length.nade, "made": fixed_length.made}
    ways |= {"pixel_cnn": pixel_cnn.pixel_cnn, "pixel_rnn": fixed_length.pixel_rnn}
    return ways[model.family](model, np.asarray(symbols))


def nats(model, rows, symbols):
    return likelihoods.nats(model.likelihood, rows, symbols) if model.likelihood else ref.nats(rows, symbols)


# The tokeniser -------------------------------------------------------------------------------------------------------

PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
OTHERS = [b for b in range(256) if b not in PRINTABLE]
LETTER = {b: chr(b) for b in PRINTABLE} | {b: chr(0x100 + i) for i, b in enumerate(OTHERS)}
BYTE = {letter: b for b, letter in LETTER.items()}
SPACES = "\t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def encode(text, tokenizer):
    """Symbols of the bytes of a text; `tokenizer` is the header's section."""
    kind = tokenizer["tokenizer"]
    if kind == "bytes":
        return list(text)
    text = text.decode()
    if kind == "chars":
        return [tokenizer["vocabulary"].index(c) for c in text]
    model = tokenizer["vocabulary"]["model"]
    merges = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in model["merges"]]
    rank, out = {pair: i for i, pair in enumerate(merges)}, []
    for piece in pieces(text):
        letters = [LETTER[b] for b in piece.encode()]
        while len(letters) > 1:
            best = min(range(len(letters) - 1), key=lambda i: rank.get((letters[i], letters[i + 1]), len(rank)))
            if (letters[best], letters[best + 1]) not in rank:
                break
            letters[best : best + 2] = [letters[best] + letters[best + 1]]
        out += [model["vocab"][token] for token in letters]
    return out


def pieces(text):
    """GPT-2's words, each with the space ahead of it."""
    kinds = "".join(" " if c == " " else "S" if c in SPACES else "OLN"[1 + "LN".find(unicodedata.category(c)[0])] for c in text)
    at = 0
    while at < len(text):
        found = re.compile("'(s|t|re|ve|m|ll|d)").match(text, at)
        found = found or re.compile(" ?L+| ?N+| ?O+|[ S]+(?![LNO])|[ S]+").match(kinds, at)
        yield text[at : found.end()]
        at = found.end()


def symbol_bytes(tokenizer):
    """The bytes of every symbol."""
    kind = tokenizer["tokenizer"]
    if kind == "bytes":
        return [bytes([b]) for b in range(256)]
    if kind == "chars":
        return [c.encode() for c in tokenizer["vocabulary"]]
    vocabulary = tokenizer["vocabulary"]["model"]["vocab"]
    return [bytes(BYTE[c] for c in token) for token in sorted(vocabulary, key=vocabulary.get)]


def decode(symbols, tokenizer):
    """What the program writes to a file or a pipe."""
    table = symbol_bytes(tokenizer)
    out = b"".join(table[i] for i in symbols)
    return out if tokenizer["tokenizer"] == "bytes" else out.decode(errors="replace").encode()


# Sampling ------------------------------------------------------------------------------------------------------------


def sample(model, prompt, uniforms, *choice):
    """The symbols that uniform numbers draw behind the prompt's."""
    out = list(prompt)
    for u in uniforms:
        row = logits(model, out + [0])[-1]
        if model.likelihood:
            out.append(likelihoods.draw_symbol(model.likelihood, row, u, *choice))
        else:
            out.append(sampling.draw(row, u, *choice)[0])
    return out[len(prompt) :]
