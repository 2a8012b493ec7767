"""speakers.py CORPUS PROGRAM MODEL COPIES OUT.json: does the speaker vector decide the speaker?

Swap: held-out recordings of each speaker, rendered with every speaker's vector; which reference embedding is nearest? And how
many words does the recogniser get wrong of all English ones, by vector?
Strangers: the same of recordings of speakers that the voice was not trained on, where CORPUS has them.
Mix: the same tracks rendered with mixtures of two vectors; how near to either end?
"""

import numpy as np

import corpus
import encoder
import measure
from corpus import PERSON, SPEAKERS, UNSEEN
from program import asked

TRACKS = 6  # of each speaker
MOST_SECONDS = 8
MORE_SEEDS = (1, 2)  # of the swapped utterances
STRANGER_SECONDS = 60  # of a stranger's recordings, behind his way to the common space
PAIRS = (("en_allison", "it_carlo"), ("fr_june", "ru_nsh"), ("es_allison", "ru_ivrvoice"), ("it_carlo", "ru_nsh"))
SHARES = (0, 0.25, 0.5, 0.75, 1)
TRACKS_OF_AN_END = 3


def person(speaker):
    return PERSON.get(speaker, speaker)


def nearest(references, embeddings):
    """The name of the reference that each embedding is nearest to."""
    names = list(references)
    table = np.array([references[name] for name in names])
    return [names[i] for i in (embeddings @ table.T).argmax(1)]


def rendered(tracks, program, copies, seed=0):
    """[(source, target, embedding)] of the tracks of each source, rendered with every speaker."""
    jobs = [(source, target, program.speaker(target), track, copies / str(seed) / f"{track.stem}-{target}.wav", seed)
            for source in tracks for track in tracks[source] for target in SPEAKERS]
    program.render([job[2:] for job in jobs])
    return [(source, target, e) for (source, target, *_), e in zip(jobs, encoder.embeddings([job[4] for job in jobs]))]


def identified(references, renders):
    """[(source, target, nearest reference)] of [(source, target, embedding)]."""
    names = nearest(references, np.array([embedding for *_, embedding in renders]))
    return [(source, target, h) for (source, target, _), h in zip(renders, names)]


def swap(references, tracks, originals, program, copies):
    every = identified(references, rendered(tracks, program, copies))
    swapped = [(s, t, h) for s, t, h in every if s != t]
    own = [(t, h) for s, t, h in every if s == t]
    real = list(zip([s for s in SPEAKERS for _ in originals[s]],
                    nearest(references, encoder.embeddings([p for s in SPEAKERS for p in originals[s]]))))
    strict = lambda pairs: {"right": sum(t == h for t, h in pairs), "of": len(pairs)}
    persons = lambda pairs: strict([(person(t), person(h)) for t, h in pairs])
    again = [identified(references, rendered(tracks, program, copies, seed)) for seed in MORE_SEEDS]
    return {
        "originals": strict(real), "originals_persons": persons(real),
        "own": strict(own), "own_persons": persons(own),
        "swapped": strict([(t, h) for _, t, h in swapped]), "swapped_persons": persons([(t, h) for _, t, h in swapped]),
        "more_seeds_persons": [persons([(t, h) for s, t, h in more if s != t]) for more in again],
        # Where the two have the same person nothing can be told, so those are left out.
        "between_persons": persons([(t, h) for s, t, h in swapped if person(s) != person(t)]),
        "source_heard": sum(person(s) == person(h) != person(t) for s, t, h in swapped),
        "confusion": {t: {h: sum((t, h) == (b, c) for _, b, c in swapped) for h in SPEAKERS} for t in SPEAKERS},
    }


def strangers(root, references, program, copies):
    """Nearest reference: the vector's speaker, the source, or another? And among the six?"""
    tracks, six = {}, references
    for speaker in (s for s in UNSEEN if (root / s).is_dir()):
        references = references | {speaker: encoder.reference(root, speaker)}
        recordings, _ = encoder.enough(root, speaker, STRANGER_SECONDS)
        tracks[speaker] = [program.track(p, copies / f"{speaker}-{p.stem}.bin", speaker_recordings=recordings)
                           for p in encoder.held_out(root, speaker, TRACKS, MOST_SECONDS)]
    if not tracks:
        return None
    renders = rendered(tracks, program, copies)
    right = lambda triples: sum(person(t) == person(h) for _, t, h in triples)
    beside = identified(references, renders)
    return {"of": len(renders), "right_of_six": right(identified(six, renders)),
            "right": right(beside), "strangers": sum(s == h for s, _, h in beside)}


def words(tracks, program, copies):
    """Words and words wrong of English tracks, [(text, track)], by each vector."""
    found = {}
    for target in SPEAKERS:
        jobs = [(program.speaker(target), track, copies / f"{track.stem}-{target}.wav") for _, track in tracks]
        program.render(jobs)
        rows = corpus.each(recognise, [(text, job[-1]) for (text, _), job in zip(tracks, jobs)])
        found[target] = {key: sum(r.get(key, 0) for r in rows) for key in ("words", "words_wrong")}
    return found


def recognise(job):
    text, path = job
    return measure.word_figures(text, corpus.read(path))


def mix(references, tracks, program, copies):
    rows = []
    for a, b in PAIRS:
        ends = tracks[a][:TRACKS_OF_AN_END] + tracks[b][:TRACKS_OF_AN_END]
        row = {"from": a, "to": b, "shares": SHARES, "similarity_from": [], "similarity_to": []}
        for share in SHARES:
            weights = {name: w for name, w in ((a, 1 - share), (b, share)) if w}
            vector = program.mix(copies / f"{a}-{b}-{share}.bin", **weights)
            jobs = [(vector, track, copies / f"{a}-{b}-{share}-{track.stem}.wav") for track in ends]
            program.render(jobs)
            found = encoder.embeddings([job[-1] for job in jobs])
            row["similarity_from"].append(float((found @ references[a]).mean()))
            row["similarity_to"].append(float((found @ references[b]).mean()))
        lead = np.subtract(row["similarity_to"], row["similarity_from"])
        rows.append(row | {"monotonic": bool((np.diff(lead) > 0).all())})
    return rows


def main():
    root, program, copies, out = asked(__doc__)
    originals = {s: encoder.held_out(root, s, TRACKS, MOST_SECONDS) for s in SPEAKERS}
    tracks = {s: [program.track(p, copies / "tracks" / f"{s}-{p.stem}.bin", like=s) for p in originals[s]]
              for s in SPEAKERS}
    references = {s: encoder.reference(root, s) for s in SPEAKERS}
    english = [(text, program.track(root / "en_allison" / f"{utt}.wav", copies / "english" / f"{utt}.bin", like="en_allison"))
               for utt, _, text in corpus.rows(root, "en_allison", "test")]
    result = {"words": words(english, program, copies / "english"),
              "swap": swap(references, tracks, originals, program, copies / "swap"),
              "strangers": strangers(root, references, program, copies / "strangers"),
              "mix": mix(references, tracks, program, copies / "mix")}
    corpus.save(out, result)


if __name__ == "__main__":
    main()
