"""likeness.py CORPUS PROGRAM OUT.json [SPEAKER=CONDITION.bin[=MODEL] ...]: whose voice is heard in what is said.

similarity  cosine of the speaker embedding of a sound with the speaker's reference, the mean embedding of training recordings
nearest     share of the sounds that are nearer to that reference than to any other person's in CORPUS

Of each shipped speaker: held-out recordings, their copies, and their texts said; of those of other languages the texts of the English
speaker, too. Of each SPEAKER=CONDITION.bin, a speaker of CORPUS
who was enrolled: recordings and copies, too, and the texts of the English speaker said; with the text-to-speech MODEL also what the
speaker's own recordings say, from the column `phones`.
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
MOST = 12  # sounds of a speaker
ENGLISH = "en_allison"


def person(speaker):
    return corpus.PERSON.get(speaker, speaker)


def figures(sounds, speaker, references):
    found = encoder.embeddings(sounds)
    own = found @ references[speaker]
    others = np.stack([found @ r for other, r in references.items() if person(other) != person(speaker)], 1)
    return {"sounds": len(sounds), "similarity": float(own.mean()), "nearest": float((own > others.max(1)).mean())}


def asked(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))}: {done.stderr.strip()}")


def said(program, folder, rows, *options):
    """Files of rows said, whose texts are the last argument. Speakers of several languages have recordings of one name."""
    found, own = [], tempfile.mkdtemp(dir=folder)
    for utt, _, text in rows:
        found.append(Path(own) / f"{utt}.wav")
        asked(program, "say", "--seed", "1", "-o", found[-1], *options, text)
    return found


def main():
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    root, program, out = Path(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3]
    enrolled = {speaker: rest for speaker, *rest in (argument.split("=") for argument in sys.argv[4:])}
    references = {s: encoder.reference(root, s) for s in (*corpus.SPEAKERS, *enrolled)}
    report = {}
    for speaker, (condition, *model) in ({s: [s] for s in corpus.SPEAKERS} | enrolled).items():
        by = ENGLISH if speaker in enrolled else speaker
        recordings = [root / speaker / f"{utt}.wav" for utt, *_ in corpus.held_out(root, speaker, *SECONDS, MOST)]
        with tempfile.TemporaryDirectory() as folder:
            copies, options = Path(folder) / "copies", ["--condition", condition]
            asked(program, "copy", "-c", condition, *recordings, "-o", copies)
            sounds = {"recordings": recordings, "copies": [copies / r.name for r in recordings]}
            texts = corpus.held_out(root, by, *SECONDS, MOST)
            sounds["said"] = said(program, folder, texts, *options, "--language", by[:2], "--")
            if speaker not in enrolled and not speaker.startswith(ENGLISH[:2]):
                texts = corpus.held_out(root, ENGLISH, *SECONDS, MOST)
                sounds["said in English"] = said(program, folder, texts, *options, "--language", ENGLISH[:2], "--")
            if model:
                texts = corpus.held_out(root, speaker, *SECONDS, MOST, "phones")
                sounds["said by the model"] = said(program, folder, texts, *options, "--speech", *model, "--phones")
            report[speaker] = {kind: figures(paths, speaker, references) for kind, paths in sounds.items()}
        print(speaker, report[speaker], flush=True)
    corpus.save(out, report)


if __name__ == "__main__":
    main()
