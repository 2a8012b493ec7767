"""enrolling.py CORPUS PROGRAM MODEL COPIES OUT.json: speakers that the voice never heard, from 30, 60 and 120 seconds.

Beside the enrolled vector stands the shipped speaker that needs the fewest nats for the same held-out recordings.
"""

import time

import corpus
import encoder
from corpus import SPEAKERS, UNSEEN
from program import asked

SECONDS = (30, 60, 120)
TRACKS, MOST_SECONDS = 6, 6  # held-out recordings of the unseen speaker
OTHERS_SECONDS = 8  # and one held-out recording of each shipped one


def enrolled(root, program, speaker, seconds, reference, others, copies):
    recordings, total = encoder.enough(root, speaker, seconds)
    vector = copies / f"{speaker}-{seconds}.bin"
    start = time.perf_counter()
    program.run("condition", "enroll", *program.model, "--name", speaker, "-o", vector, *recordings)
    wall = time.perf_counter() - start
    held_out = encoder.held_out(root, speaker, TRACKS, MOST_SECONDS)
    tracks = [program.track(p, copies / f"{speaker}-{seconds}-{p.stem}.bin", speaker_recordings=recordings)
              for p in held_out]
    known = {s: program.nats(program.speaker(s), held_out, tracks) for s in SPEAKERS}
    nearest = min(known, key=known.get)
    row = {"speaker": speaker, "seconds": total, "wall_s": wall, "nats": program.nats(vector, held_out, tracks),
           "nearest": nearest, "nearest_nats": known[nearest]}
    for what, said in (("copy", tracks), ("swapped", others)):
        for whose, condition in (("", vector), ("nearest_", program.speaker(nearest))):
            jobs = [(condition, t, copies / f"{speaker}-{seconds}-{whose}{what}-{t.stem}.wav") for t in said]
            program.render(jobs)
            found = encoder.embeddings([job[-1] for job in jobs])
            row[f"{whose}{what}_similarity"] = float((found @ reference).mean())
    return row


def main():
    root, program, copies, out = asked(__doc__)
    copies = copies / "enrolling"
    others = [program.track(p, copies / f"{s}-{p.stem}.bin", like=s)
              for s in SPEAKERS for p in encoder.held_out(root, s, 1, OTHERS_SECONDS)]
    rows = []
    for speaker in UNSEEN:
        reference = encoder.reference(root, speaker)
        real = float((encoder.embeddings(encoder.held_out(root, speaker, TRACKS, MOST_SECONDS)) @ reference).mean())
        rows += [enrolled(root, program, speaker, seconds, reference, others, copies)
                 | {"original_similarity": real} for seconds in SECONDS]
    corpus.save(out, {"cores": corpus.CORES, "rows": rows})


if __name__ == "__main__":
    main()
