"""likeness.py CORPUS PROGRAM OUT.json [SPEAKER=CONDITION.bin ...]: whose voice is heard in what is said.

The cosine of the speaker embedding of each sound with the speaker's reference, and the share of sounds that are nearer to it than to
any other speaker's. Of each shipped speaker: held-out recordings, their copies, and their texts said. Of each SPEAKER=CONDITION.bin,
a speaker of CORPUS that was enrolled: the recordings, their copies, and the texts of the English speaker said.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "voice"))
import corpus  # noqa: E402
import encoder  # noqa: E402

SECONDS = (2, 8)
MOST = 12
ENGLISH = "en_allison"


def held_out(root, speaker):
    return [r for r in corpus.rows(root, speaker, "test") if SECONDS[0] <= r[1] <= SECONDS[1]][:MOST]


def figures(sounds, speaker, references):
    found = encoder.embeddings(sounds)
    own = found @ references[speaker]
    others = np.stack([found @ r for s, r in references.items() if corpus.PERSON.get(s, s) != corpus.PERSON.get(speaker, speaker)], 1)
    return {"sounds": len(sounds), "similarity": float(own.mean()), "nearest": float((own > others.max(1)).mean())}


def main():
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    root, program, out = map(Path, sys.argv[1:4])
    enrolled = dict(pair.split("=", 1) for pair in sys.argv[4:])
    references = {s: encoder.reference(root, s) for s in (*corpus.SPEAKERS, *corpus.UNSEEN)}
    report = {}
    with tempfile.TemporaryDirectory() as folder:
        for speaker, condition in [*((s, s) for s in corpus.SPEAKERS), *enrolled.items()]:
            rows, texts = held_out(root, speaker), held_out(root, ENGLISH if speaker in enrolled else speaker)
            recordings = [root / speaker / f"{utt}.wav" for utt, *_ in rows]
            copies, said = Path(folder) / speaker, []
            subprocess.run([program, "copy", "-c", condition, *recordings, "-o", copies], check=True, capture_output=True)
            for utt, _, text in texts:
                wav = Path(folder) / f"{speaker}-{utt}.wav"
                argv = [program, "say", "--condition", condition, "--seed", "1", "-o", wav, "--", text]
                if speaker in enrolled:
                    argv[2:2] = ["--language", "en"]
                subprocess.run(argv, check=True, capture_output=True)
                said.append(wav)
            report[speaker] = {"recordings": figures(recordings, speaker, references),
                               "copies": figures([copies / r.name for r in recordings], speaker, references),
                               "said": figures(said, speaker, references)}
            print(speaker, report[speaker], flush=True)
    corpus.save(out, report)


if __name__ == "__main__":
    main()
