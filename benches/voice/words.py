"""words.py CORPUS PROGRAM MODEL COPIES OUT.json: how many English words the recogniser gets wrong, over many seeds.

One copy of a sentence decides by chance; so each system that draws says every held-out English sentence SEEDS times.
Of the originals and of mu-law alone there is one of each.
"""

import numpy as np

import corpus
import measure
from peers import griffin_lim, mulaw
from program import asked

SPEAKER, SEEDS = "en_allison", 20
DTYPES = ("i8",)
GRIFFIN_LIM = {"griffin-lim": False, "griffin-lim-f0": True}


def said(path, text, name, seed):
    """Figures of one sentence by one system."""
    x = corpus.read(path)
    if name == "mulaw":
        x = mulaw(x)
    elif name in GRIFFIN_LIM:
        x = griffin_lim(x, GRIFFIN_LIM[name], seed)
    return measure.word_figures(text, x)


def one(job):
    return job[2], job[3], said(*job)


def main():
    root, program, copies, out = asked(__doc__)
    sentences = [(root / SPEAKER / f"{utt}.wav", text) for utt, _, text in corpus.rows(root, SPEAKER, "test")
                 if measure.is_sentence(text)]
    jobs = [(path, text, name, seed) for path, text in sentences
            for name, seeds in (("original", 1), ("mulaw", 1), *((g, SEEDS) for g in GRIFFIN_LIM)) for seed in range(seeds)]
    for dtype in DTYPES:
        renders = []
        for path, text in sentences:
            track = program.track(path, copies / "words" / f"{path.stem}.bin", like=SPEAKER)
            for seed in range(SEEDS):
                target = copies / "words" / dtype / f"{path.stem}-{seed}.wav"
                renders.append((program.speaker(SPEAKER), track, target, seed))
                jobs.append((target, text, dtype, seed))
        program.render(renders, "--dtype", dtype)
    wrong, words = {}, 0
    for name, seed, figures in corpus.each(one, jobs):
        by_seed = wrong.setdefault(name, {})
        by_seed[seed] = by_seed.get(seed, 0) + figures["words_wrong"]
        words += figures["words"] if name == "original" else 0
    systems = {name: {"mean": float(np.mean(list(by.values()))), "wrong": [by[seed] for seed in sorted(by)]}
               for name, by in wrong.items()}
    corpus.save(out, {"words": words, "systems": systems})


if __name__ == "__main__":
    main()
