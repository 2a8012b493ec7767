"""Compares a built wavesynth with images.py and vq_vae.py: likelihoods of images in any order, and what is drawn; images as codes,
and models of these.

    python3 tests/reference/check_images.py target/release/wavesynth
"""

import json

import numpy as np

from checkpoint import PREFIX
from common import random_tensors, report, run
import images
import likelihoods
import sampling
import text
import vq_vae

HEIGHT, WIDTH = 4, 5
COUNT = HEIGHT * WIDTH


def kinds(rng):
    """Pixels and their likelihood."""
    palette = {"name": "palette", "colours": rng.integers(0, 256, (7, 3)).tolist()}
    yield {"name": "binary"}, {"name": "bernoulli"}
    yield {"name": "grey"}, None
    yield {"name": "grey"}, {"name": "logistic_mixture", "components": 3, "channels": 1, "levels": 256}
    yield palette, None
    yield {"name": "rgb"}, {"name": "logistic_mixture", "components": 2, "channels": 3, "levels": 256}
    yield {"name": "continuous", "channels": 1}, {"name": "gaussian", "dims": 1}
    yield {"name": "continuous", "channels": 3}, {"name": "gaussian_mixture", "components": 2, "dims": 3}


FAMILIES = [
    ("char_rnn", dict(cell="lstm", hidden=10, layers=1)),
    ("gpt", dict(layers=2, heads=2, width=12, context=COUNT, bias=True, tied_head=False)),
    ("gpt", dict(layers=1, heads=3, width=12, context=COUNT, bias=False, tied_head=False, positions={"grid": {"height": HEIGHT, "width": WIDTH}})),
    ("nade", dict(hidden=24)),
    ("made", dict(hidden=[50], direct=True)),
    ("made", dict(hidden=[40, 45], direct=False)),
    ("pixel_rnn", dict(kind="row", hidden=6, layers=2, head=9, grid={"height": HEIGHT, "width": WIDTH})),
    ("pixel_rnn", dict(kind="diagonal", hidden=5, layers=2, head=9, grid={"height": HEIGHT, "width": WIDTH})),
]


def invented(rng, pixels, likelihood, family, config):
    classes = {"binary": 2, "grey": 256, "palette": len(pixels.get("colours", []))}.get(pixels["name"], 0)
    sites = rng.permutation(COUNT)
    if family == "pixel_rnn":
        sites = np.arange(COUNT).reshape(HEIGHT, WIDTH).T[::-1].flatten()
    order = {"sites": {"sites": sites.tolist()}}
    config = config | {"start": 0, "order": order} | ({"classes": classes} if classes else {})
    config |= {"likelihood": likelihood} if likelihood else {}
    about = {"height": HEIGHT, "width": WIDTH, "pixels": pixels}
    gain = 2.0 if family == "char_rnn" else 1.0
    model = random_tensors(rng, {"version": 1, "family": family, "config": config, "image": about}, gain)
    for name, value in model.tensors.items():
        if name.endswith("norm.weight"):
            model.tensors[name] = value + 1
    return model


def check_eval(session, rng, name, model, pixels, sites):
    """The nats of every pixel, of images with and without colours."""
    for channels in 1, 3:
        levels = rng.integers(0, 256, (3, HEIGHT, WIDTH, 3)[: 3 + (channels == 3)])
        images.write_idx(session.path("x"), levels)
        found = json.loads(session.run("eval", "-m", "own.safetensors", "--per-symbol", "n.npy", "--json", "x"))
        levels = levels if channels == 3 else np.repeat(levels[..., None], 3, 3)
        mine = np.zeros((3, COUNT))
        for image, nats in zip(levels, mine):
            x = images.variables(pixels, image.reshape(COUNT, 3))[sites]
            nats[sites] = text.nats(model, text.logits(model, x), x)
        far = np.abs(session.array("n.npy").reshape(3, COUNT) - mine).max()
        report(f"eval, {name}, {channels} channels, nats of a pixel", far, 1e-3 * max(1, np.abs(mine).max()))
        mean = mine.sum(1).mean()
        size = max(1, abs(mean))
        report(f"eval, {name}, {channels} channels, nats of an image", abs(found["nats_per_image"] - mean) / size, 1e-5)
        wanted = images.bits(pixels, COUNT, mean)
        report(f"eval, {name}, {channels} channels, bits of a dimension", abs(found["bits_per_dimension"] - wanted) / size, 1e-5)


def check_drawing(session, name, model, pixels, sites, seed=11, count=2):
    likelihood = model.likelihood
    vectors = likelihood and (likelihood.get("dims") or likelihood.get("channels", 1) > 1)
    for temperature in 1, 0.7:
        how = ["--seed", seed, "--temperature", temperature, "-n", count, "--columns", 1, "--scale", 1]
        session.run("sample", "-m", "own.safetensors", *how, "-o", "x.png", "--force")
        sheet = images.read_png(session.path("x.png"))
        for i in range(count):
            uniforms = iter(sampling.uniforms(images.seed(seed, i), 8 * COUNT))
            x = np.zeros((0, likelihood.get("dims") or likelihood["channels"])) if vectors else np.zeros(0, int)
            for _ in sites:
                row = text.logits(model, np.concatenate([x, np.zeros((1, *x.shape[1:]), x.dtype)]))[-1]
                if vectors:
                    new = likelihoods.draw_vector(likelihood, row, uniforms, temperature)
                elif likelihood:
                    new = likelihoods.draw_symbol(likelihood, row, next(uniforms), temperature)
                else:
                    new = sampling.draw(row, next(uniforms), temperature)[0]
                x = np.concatenate([x, [new]])
            wanted = np.zeros((COUNT, 3), np.int64)
            wanted[sites] = images.colours(pixels, x)
            top = 2 + i * (HEIGHT + 2)
            theirs = sheet[top : top + HEIGHT, 2 : 2 + WIDTH].reshape(COUNT, 3)
            report(f"drawing, {name}, temperature {temperature}, image {i}, levels apart", np.abs(theirs - wanted).max(), 1)


def check_classes(session, rng):
    """What a classification head tells, behind each tenth of the pixels."""
    config = dict(layers=2, heads=2, width=12, context=COUNT, bias=True, tied_head=False, classifier=3)
    model = invented(rng, {"name": "grey"}, None, "gpt", config)
    model.write(session.path("own.safetensors"))
    levels, labels = rng.integers(0, 256, (4, HEIGHT, WIDTH)), np.array([2, 0, 1, 2])
    images.write_idx(session.path("x"), levels)
    images.write_idx(session.path("y"), labels)
    found = json.loads(session.run("eval", "-m", "own.safetensors", "--classify", "--labels", "y", "--json", "x"))["inputs"][0]
    sites = np.array(model.head["config"]["order"]["sites"]["sites"])
    chance, nats = np.full((1, 3), np.log(1 / 3)), []
    log_p = []
    for image in levels.reshape(4, COUNT)[:, sites]:
        log_p.append(np.concatenate([chance, text.class_log_p(model, image)]))
        nats.append(text.nats(model, text.logits(model, image), image).sum())
    log_p, tenths = np.array(log_p), [COUNT * i // 10 for i in range(11)]
    mine = np.exp(log_p[np.arange(4), :, labels]).mean(0)[tenths]
    classes = found["classes"]
    report("classification head, probability of the class", np.abs(np.array(classes["probability"]) - mine).max(), 1e-5)
    report("classification head, classes that differ", int((log_p[:, -1].argmax(1) != classes["found"]).sum()), 0)
    right = (log_p.argmax(2) == labels[:, None]).mean(0)[tenths[1:]]
    report("classification head, accuracy", np.abs(np.array(classes["accuracy_by_tenths"][1:]) - right).max(), 1e-9)
    report("classification head, nats of an image", abs(found["nats_per_image"] - np.mean(nats)) / np.mean(nats), 1e-5)


def coders():
    """Pixels and their likelihood in a VQ-VAE."""
    yield {"name": "binary"}, {"name": "bernoulli"}
    yield {"name": "grey"}, {"name": "categorical", "classes": 256}
    yield {"name": "rgb"}, {"name": "logistic_mixture", "components": 2, "channels": 3, "levels": 256}
    yield {"name": "continuous", "channels": 1}, {"name": "gaussian", "dims": 1}


def check_codes(session, rng, pixels, likelihood):
    """A VQ-VAE and a model of its codes: nats of both, and an image that is drawn."""
    height, width, classes = 8, 12, 10
    about = {"height": height, "width": width, "pixels": pixels}
    sizes = {"code_dim": 3, "channels": 6, "residual_blocks": 2}
    config = {"height": height, "width": width, "likelihood": likelihood, "codes": classes} | sizes
    coder = random_tensors(rng, {"version": 1, "family": "vq_vae", "config": config, "image": about}, 1.5)
    coder.write(session.path("coder.safetensors"))
    mine = vq_vae.VqVae(config, coder.values)
    levels = rng.integers(0, 256, (3, height, width, 3))
    images.write_idx(session.path("x"), levels)
    variables = [images.variables(pixels, image.reshape(-1, 3)) for image in levels]
    codes, far = zip(*(mine.encode(v) for v in variables))
    name = images.name_of(pixels)
    report(f"VQ-VAE of {name}, codes are apart", -min(far), -1e-4)
    given = np.array([mine.nats(c, v).reshape(height, width) for c, v in zip(codes, variables)])
    found = json.loads(session.run("eval", "-m", "coder.safetensors", "--per-symbol", "n.npy", "--force", "--json", "x"))
    size = max(1, np.abs(given).max())
    report(f"VQ-VAE of {name}, nats of a pixel", np.abs(session.array("n.npy") - given).max(), 1e-3 * size)
    share = np.bincount(np.concatenate(codes), minlength=classes) / sum(map(len, codes))
    perplexity = np.exp(-sum(p * np.log(p) for p in share if p))
    report(f"VQ-VAE of {name}, perplexity of codes", abs(found["code_perplexity"] - perplexity), 1e-4)

    sites = rng.permutation(len(codes[0]))
    own = dict(classes=classes, start=0, cell="gru", hidden=8, layers=1, order={"sites": {"sites": sites.tolist()}})
    head = {"version": 1, "family": "char_rnn", "config": own, "image": about, "vq_vae": config}
    model = random_tensors(rng, head, 1.5)
    model.tensors |= {PREFIX + k: v for k, v in coder.tensors.items()}
    model.write(session.path("own.safetensors"))
    found = json.loads(session.run("eval", "-m", "own.safetensors", "--json", "x"))
    nats = np.mean([text.nats(model, text.logits(model, c[sites]), c[sites]).sum() for c in codes])
    bound = nats + given.sum((1, 2)).mean()
    bits = images.bits(pixels, height * width, bound)
    size = max(1, abs(bound))
    for key, wanted in ("nats_per_image", nats), ("nats_per_image_bound", bound), ("bits_per_dimension", bits):
        report(f"codes of {name}, {key}", abs(found[key] - wanted) / size, 1e-4)

    session.run("sample", "-m", "own.safetensors", "--seed", 5, "--scale", 1, "-o", "x.png", "--force")
    uniforms = sampling.uniforms(images.seed(5, 0), len(sites))
    drawn = np.zeros(0, int)
    for u in uniforms:
        row = text.logits(model, np.concatenate([drawn, [0]]))[-1]
        drawn = np.concatenate([drawn, [sampling.draw(row, u)[0]]])
    wanted = np.zeros(len(sites), int)
    wanted[sites] = drawn
    sheet = images.read_png(session.path("x.png"))[2 : 2 + height, 2 : 2 + width].reshape(-1, 3)
    rows = mine.parameters(wanted)
    if likelihood["name"] == "bernoulli":
        x = (rows[:, 0] > 0).astype(int)
    elif likelihood["name"] == "categorical":
        x = rows.argmax(1)
    else:
        x = np.array([likelihoods.draw_vector(likelihood, row, iter([0.5] * 8), 0) for row in rows])
    far = np.abs(sheet - images.colours(pixels, x)).max()
    report(f"codes of {name}, levels of what is drawn apart", far, 1)


def checks(session):
    rng = np.random.default_rng(8)
    check_classes(session, rng)
    for pixels, likelihood in coders():
        check_codes(session, rng, pixels, likelihood)
    for family, config in FAMILIES:
        for pixels, likelihood in kinds(rng):
            model = invented(rng, pixels, likelihood, family, config)
            model.write(session.path("own.safetensors"))
            name = f"{family}, {images.name_of(pixels)} by {likelihood['name'] if likelihood else 'softmax'}"
            sites = np.array(model.head["config"]["order"]["sites"]["sites"])
            check_eval(session, rng, name, model, pixels, sites)
            # How values are drawn is the likelihood's affair: of the others some are enough.
            if family == "char_rnn" or pixels["name"] in ("binary", "rgb"):
                check_drawing(session, name, model, pixels, sites)


if __name__ == "__main__":
    run(checks)
