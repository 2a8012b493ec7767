"""live.py CORPUS PROGRAM MODEL COPIES OUT.json: speaker and words of live speaker conversion.

Held-out recordings go through `render --input`, with i8 weights: each as the first of its speaker, all behind half a
minute of the same speaker, and each with `--like`. Strangers are speakers outside the training data, where CORPUS has them.
"""

import numpy as np

import corpus
import encoder
import measure
from corpus import SPEAKERS, UNSEEN
from program import asked
from speakers import MOST_SECONDS, STRANGER_SECONDS, identified, person, recognise

WAYS = {  # seconds of the source speaker's speech that come first, and whether the speaker is known
    "first": (0, False), "later": (30, False), "like": (0, True),
}
TRACKS = {**dict.fromkeys(SPEAKERS, 2), **dict.fromkeys(UNSEEN, 4)}
PAUSE = np.zeros(corpus.RATE // 2)
ENGLISH, SEEDS = "en_allison", 3


def inputs(recordings, lead, folder):
    """[(file, [(recording, begin, end)])]: the input, and where the recordings lie in it."""
    if not lead:
        return [(path, [(path, 0, len(corpus.read(path)))]) for path in recordings]
    parts, cuts = [], []
    for path in [*lead, *recordings]:
        x, at = corpus.read(path), sum(map(len, parts))
        cuts.append((path, at, at + len(x)))
        parts += [x, PAUSE]
    whole = folder / "in.wav"
    corpus.write(whole, np.concatenate(parts))
    return [(whole, cuts[len(lead):])]


def convert(job):
    """[(recording, target, file)]: each recording, converted to a vector."""
    program, target, source, cuts, like, seed, folder = job
    renders = folder / f"{source.stem}-{target}-{seed}.wav"
    program.run("render", *program.model, "--dtype", "i8", "-c", program.speaker(target), "--input", source, *like,
                "--seed", seed, "-o", renders)
    x, pieces = corpus.read(renders), []
    for recording, begin, end in cuts:
        pieces.append((recording, target, folder / target / str(seed) / recording.name))
        corpus.write(pieces[-1][-1], x[begin:end])
    return pieces


def rendered(root, program, folder, speaker, recordings, targets, seeds, way):
    """[(recording, target, file)] of a speaker's recordings, converted to each target with each seed."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds, known = WAYS[way]
    like = []
    if known:
        who = speaker
        if speaker not in SPEAKERS:
            minute, _ = encoder.enough(root, speaker, STRANGER_SECONDS)
            who = program.track(recordings[0], folder / "like.bin", speaker_recordings=minute)
        like = ["--like", who]
    sources = inputs(recordings, encoder.enough(root, speaker, seconds)[0], folder)
    jobs = [(program, target, source, cuts, like, seed, folder)
            for source, cuts in sources for target in targets for seed in seeds]
    return [piece for pieces in corpus.each(convert, jobs) for piece in pieces]


def embedded(root, program, folder, sources, way):
    """[(source, target, embedding)] of held-out recordings of each source, converted to every other speaker."""
    found = []
    for source in sources:
        recordings = encoder.held_out(root, source, TRACKS[source], MOST_SECONDS)
        targets = [t for t in SPEAKERS if t != source]
        renders = rendered(root, program, folder / source, source, recordings, targets, [0], way)
        found += [(source, target, path) for _, target, path in renders]
    embeddings = encoder.embeddings([path for *_, path in found])
    return [(source, target, e) for (source, target, _), e in zip(found, embeddings)]


def words(root, program, folder, way):
    """Words of the English sentences, and those that the recogniser gets wrong, by the vectors of other persons."""
    texts = {root / ENGLISH / f"{utt}.wav": text for utt, _, text in corpus.rows(root, ENGLISH, "test")
             if measure.is_sentence(text)}
    targets = [s for s in SPEAKERS if person(s) != person(ENGLISH)]
    renders = rendered(root, program, folder, ENGLISH, list(texts), targets, range(SEEDS), way)
    figures = corpus.each(recognise, [(texts[recording], path) for recording, _, path in renders])
    return {key: sum(f[key] for f in figures) for key in ("words", "words_wrong")}


def main():
    root, program, copies, out = asked(__doc__)
    unseen = [s for s in UNSEEN if (root / s).is_dir()]
    six = {s: encoder.reference(root, s) for s in SPEAKERS}
    eight = six | {s: encoder.reference(root, s) for s in unseen}
    right = lambda triples: sum(person(t) == person(h) for _, t, h in triples)
    result = {}
    for way in WAYS:
        folder = copies / "live" / way
        own = identified(six, embedded(root, program, folder, SPEAKERS, way))
        row = {"of": len(own), "right": right(own),
               "source_heard": sum(person(s) == person(h) != person(t) for s, t, h in own)}
        if unseen:
            renders = embedded(root, program, folder, unseen, way)
            beside = identified(eight, renders)
            row["strangers"] = {"of": len(renders), "right_of_six": right(identified(six, renders)), "right": right(beside),
                                "strangers": sum(s == h for s, _, h in beside)}
        result[way] = row | words(root, program, folder / "words", way)
        print(way, result[way], flush=True)
    corpus.save(out, result)


if __name__ == "__main__":
    main()
