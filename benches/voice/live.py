"""live.py CORPUS PROGRAM MODEL COPIES OUT.json: who is heard, and which words, when speech is said by another while it comes in?

Held-out recordings go through `render --input`, with i8 weights: each the first that is heard of its talker, all behind half
a minute of his, and each with `--like`. Strangers are speakers that the voice was not trained on, where CORPUS has them.
"""

import numpy as np

import corpus
import encoder
import measure
from corpus import SPEAKERS, UNSEEN
from program import asked
from speakers import MOST_SECONDS, STRANGER_SECONDS, hear, person, recognise

WAYS = {  # seconds of the talker's speech that come first, and whether he is known
    "first": (0, False), "later": (30, False), "like": (0, True),
}
TRACKS = {**dict.fromkeys(SPEAKERS, 2), **dict.fromkeys(UNSEEN, 4)}
PAUSE = np.zeros(corpus.RATE // 2)
ENGLISH, SEEDS = "en_allison", 3


def inputs(recordings, lead, folder):
    """[(file, [(recording, begin, end)])]: what comes in, and where the recordings lie in it."""
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


def say(job):
    """[(recording, target, file)]: what a vector made of each recording."""
    program, target, source, cuts, like, seed, folder = job
    said = folder / f"{source.stem}-{target}-{seed}.wav"
    program.run("render", *program.model, "--dtype", "i8", "-c", program.speaker(target), "--input", source, *like,
                "--seed", seed, "-o", said)
    x, pieces = corpus.read(said), []
    for recording, begin, end in cuts:
        pieces.append((recording, target, folder / target / str(seed) / recording.name))
        corpus.write(pieces[-1][-1], x[begin:end])
    return pieces


def spoken(root, program, folder, speaker, recordings, targets, seeds, way):
    """[(recording, target, file)] of a speaker's recordings, said by each target with each seed."""
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
    return [piece for pieces in corpus.each(say, jobs) for piece in pieces]


def heard(root, program, folder, sources, way):
    """[(source, target, embedding)] of held-out recordings of each source, said by everybody else."""
    found = []
    for source in sources:
        recordings = encoder.held_out(root, source, TRACKS[source], MOST_SECONDS)
        targets = [t for t in SPEAKERS if t != source]
        said = spoken(root, program, folder / source, source, recordings, targets, [0], way)
        found += [(source, target, path) for _, target, path in said]
    embeddings = encoder.embeddings([path for *_, path in found])
    return [(source, target, e) for (source, target, _), e in zip(found, embeddings)]


def words(root, program, folder, way):
    """Words of the English sentences, and those that the recogniser gets wrong, by the vectors of other persons."""
    texts = {root / ENGLISH / f"{utt}.wav": text for utt, _, text in corpus.rows(root, ENGLISH, "test")
             if measure.is_sentence(text)}
    targets = [s for s in SPEAKERS if person(s) != person(ENGLISH)]
    said = spoken(root, program, folder, ENGLISH, list(texts), targets, range(SEEDS), way)
    figures = corpus.each(recognise, [(texts[recording], path) for recording, _, path in said])
    return {key: sum(f[key] for f in figures) for key in ("words", "words_wrong")}


def main():
    root, program, copies, out = asked(__doc__)
    unseen = [s for s in UNSEEN if (root / s).is_dir()]
    six = {s: encoder.reference(root, s) for s in SPEAKERS}
    eight = six | {s: encoder.reference(root, s) for s in unseen}
    right = lambda heard: sum(person(t) == person(h) for _, t, h in heard)
    result = {}
    for way in WAYS:
        folder = copies / "live" / way
        own = hear(six, heard(root, program, folder, SPEAKERS, way))
        row = {"of": len(own), "right": right(own),
               "source_heard": sum(person(s) == person(h) != person(t) for s, t, h in own)}
        if unseen:
            said = heard(root, program, folder, unseen, way)
            beside = hear(eight, said)
            row["strangers"] = {"of": len(said), "right_of_six": right(hear(six, said)), "right": right(beside),
                                "strangers": sum(s == h for s, _, h in beside)}
        result[way] = row | words(root, program, folder / "words", way)
        print(way, result[way], flush=True)
    corpus.save(out, result)


if __name__ == "__main__":
    main()
