"""enrolling.py CORPUS PROGRAM MODEL COPIES OUT.json: speakers that the voice never heard, from about a minute of each.

Three ways to say their held-out recordings again: the nearest shipped speaker as he is played (`enroll --steps 0`), the
enrolled speaker, and WORLD. Then the two of the voice say English tracks of a shipped speaker.
"""

import time

import numpy as np

import corpus
import encoder
import measure
import peers
from corpus import SPEAKERS, UNSEEN
from program import asked

SECONDS = 60
SHORTEST, LONGEST = 1, 10  # held-out recordings of the unseen speaker, in seconds
TRACKS_BY, TRACKS, TRACK_SECONDS = "en_allison", 8, (2, 5)


def figures(root, speaker, copies, references):
    """Of copies of held-out recordings."""
    pairs = [(corpus.read(root / speaker / c.name), corpus.read(c)) for c in copies]
    rows = corpus.each(compared, pairs)
    known = lambda key: [r[key] for r in rows if r[key] is not None]
    out = {key: float(np.mean(known(key))) for key in ("log_mel_db", "stoi", "pesq_wb", "f0_cents")}
    return out | likeness(copies, speaker, references)


def compared(pair):
    x, y = (v[: min(map(len, pair))] for v in pair)
    return {"log_mel_db": measure.distance(measure.log_mel(x), measure.log_mel(y))} | measure.perception(x, y) | \
        measure.pitch_figures(measure.f0(x), measure.f0(y))


def likeness(sounds, speaker, references):
    """Similarity to the speaker, and the share of the sounds that are nearer to him than to any shipped speaker."""
    found = encoder.embeddings(sounds)
    own, others = found @ references[speaker], np.stack([found @ references[s] for s in SPEAKERS], 1)
    return {"similarity": float(own.mean()), "own_nearest": float((own > others.max(1)).mean())}


def words_wrong(sounds, texts):
    said = [measure.words(t) for t in texts]
    heard = [measure.recognised(corpus.read(s)) for s in sounds]
    return {"words": sum(map(len, said)), "words_wrong": sum(map(measure.edits, said, heard))}


def main():
    root, program, copies, out = asked(__doc__)
    copies = copies / "enrolling"
    references = {s: encoder.reference(root, s) for s in SPEAKERS + UNSEEN}
    rows = corpus.rows(root, TRACKS_BY, "test")
    said = [(u, t) for u, seconds, t in rows if TRACK_SECONDS[0] < seconds < TRACK_SECONDS[1]][:TRACKS]
    tracks = [program.track(root / TRACKS_BY / f"{u}.wav", copies / f"{u}.bin", like=TRACKS_BY) for u, _ in said]
    texts = [t for _, t in said]
    table = []
    for speaker in UNSEEN:
        recordings, total = encoder.enough(root, speaker, SECONDS)
        held_out = [root / speaker / f"{u}.wav" for u, s, _ in corpus.rows(root, speaker, "test") if SHORTEST <= s <= LONGEST]
        row = {"speaker": speaker, "seconds": total, "recordings": len(held_out),
               "original": likeness(held_out, speaker, references)}
        for way, options in (("nearest", ["--steps", 0]), ("enrolled", [])):
            condition, folder = copies / f"{speaker}-{way}.bin", copies / speaker / way
            start = time.perf_counter()
            program.run("condition", "enroll", *program.model, "--name", speaker, *options, "-o", condition, *recordings)
            wall = time.perf_counter() - start
            program.run("copy", *program.model, "-c", condition, *held_out, "-o", folder, "--json")
            row[way] = {"wall_s": wall} | figures(root, speaker, [folder / p.name for p in held_out], references)
            jobs = [(condition, t, folder / "said" / f"{t.stem}.wav") for t in tracks]
            program.render(jobs)
            sounds = [job[-1] for job in jobs]
            row[way]["said"] = likeness(sounds, speaker, references) | words_wrong(sounds, texts)
        folder = copies / speaker / "world"
        corpus.each(peers.one, [(p, folder / p.name, "world") for p in held_out])
        row["world"] = figures(root, speaker, [folder / p.name for p in held_out], references)
        table.append(row)
    recorded = words_wrong([root / TRACKS_BY / f"{u}.wav" for u, _ in said], texts)
    corpus.save(out, {"cores": corpus.CORES, "rows": table, "tracks": recorded})


if __name__ == "__main__":
    main()
