"""likeness.py CORPUS PROGRAM MODEL COPIES OUT.json: the curve of `--likeness`, words against voice.

Held-out recordings of each speaker, rendered with every other person's vector: which reference is nearest? And the English
words that the recogniser gets wrong, spoken by the four other persons.
"""

import corpus
import encoder
import speakers
from corpus import SPEAKERS
from program import asked

LIKENESS = (0, 0.2, 0.35, 0.5, 0.7, 1)


def main():
    root, program, copies, out = asked(__doc__)
    copies = copies / "likeness"
    tracks = {s: [program.track(p, copies / "tracks" / f"{s}-{p.stem}.bin", like=s)
                  for p in encoder.held_out(root, s, speakers.TRACKS, speakers.MOST_SECONDS)] for s in SPEAKERS}
    references = {s: encoder.reference(root, s) for s in SPEAKERS}
    english = [(text, program.track(root / "en_allison" / f"{utt}.wav", copies / "english" / f"{utt}.bin", like="en_allison"))
               for utt, _, text in corpus.rows(root, "en_allison", "test")]
    others = [s for s in SPEAKERS if speakers.person(s) != speakers.person("en_allison")]
    rows = []
    for likeness in LIKENESS:
        folder, how = copies / str(likeness), ("--likeness", likeness)
        pairs = [(s, t, track) for s in SPEAKERS for track in tracks[s] for t in SPEAKERS if s != t]
        jobs = [(program.speaker(t), track, folder / f"{track.stem}-{t}.wav") for _, t, track in pairs]
        program.render(jobs, *how)
        heard = speakers.nearest(references, encoder.embeddings([job[-1] for job in jobs]))
        row = {"likeness": likeness, "of": len(pairs), "words": 0, "words_wrong": 0,
               "heard": sum(speakers.person(t) == speakers.person(h) for (_, t, _), h in zip(pairs, heard)),
               "source_heard": sum(speakers.person(s) == speakers.person(h) != speakers.person(t)
                                   for (s, t, _), h in zip(pairs, heard))}
        for target in others:
            jobs = [(program.speaker(target), track, folder / "english" / f"{track.stem}-{target}.wav") for _, track in english]
            program.render(jobs, *how)
            for found in corpus.each(speakers.recognise, [(text, job[-1]) for (text, _), job in zip(english, jobs)]):
                row["words"] += found.get("words", 0)
                row["words_wrong"] += found.get("words_wrong", 0)
        rows.append(row)
        print(row, flush=True)
    corpus.save(out, {"rows": rows})


if __name__ == "__main__":
    main()
