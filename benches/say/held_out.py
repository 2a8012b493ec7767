"""held_out.py CORPUS PROGRAM OUT.json [LABELS]: the held-out recordings of the shipped speakers, said from their text.
held_out.py CORPUS PROGRAM OUT.json --speech MODEL SPEAKER=CONDITION ...: those of other speakers, said by MODEL from the column `phones`.

mcd_db     mel-cepstral distortion (Kubichek 1993) along the best alignment of the frames: the cepstra c_1 to c_15 of the track
f0_cents   root mean square error of F0 where both are voiced, along the same alignment
length     seconds said, beside those recorded, both without silence at their ends
durations  with LABELS, the folder of the labels of ru_nsh: each phone's length beside its label's, where the phones agree

Beside them stand copies of the recordings (what the voice makes of the true frames), another recording of the speaker in place of
what is said (another sentence: a bound), and espeak-ng where a language and it are known (another speaker: no peer).
"""

import difflib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import librosa
import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

sys.path.insert(0, str(Path(__file__).parents[1] / "voice"))
import corpus  # noqa: E402
from measure import f0, features  # noqa: E402

SECONDS = (2, 8)
MOST = 5  # recordings of a speaker
MOST_OTHERS = 10  # and of one that is not shipped
SYSTEMS = ("say", "copy", "another", "espeak-ng")
QUIET_DB = 40  # below the loudest frame: silence at the ends
ESPEAK = {"en": "en-us", "es": "es-419", "fr": "fr-fr", "it": "it", "ru": "ru", "cs": "cs"}


def trimmed(x):
    level = features.log_mel(x, 24).max(1)
    loud = np.flatnonzero(level > level.max() - QUIET_DB * np.log(10) / 10)
    return x[loud[0] * features.HOP : (loud[-1] + 1) * features.HOP]


def compared(recording, said):
    x, y = trimmed(recording), trimmed(said)
    a, b = (features.cepstra(v)[:, 1:] for v in (x, y))
    _, path = librosa.sequence.dtw(a.T, b.T)
    i, j = path.T
    mcd = 10 / np.log(10) * np.sqrt(((a[i] - b[j]) ** 2).sum(1) / features.BANDS)
    f, g = (np.append(v, np.zeros(9)) for v in (f0(x), f0(y)))
    f, g = f[i], g[j]
    both = (f > 0) & (g > 0)
    cents = 1200 * np.log2(f[both] / g[both])
    return {"mcd_db": float(mcd.mean()), "f0_cents": float(np.sqrt((cents**2).mean())) if both.any() else None,
            "f0_mean_cents": float(-cents.mean()) if both.any() else None, "seconds": [len(x) / corpus.RATE, len(y) / corpus.RATE]}


def one(job):
    root, program, folder, (name, speaker, condition), options, utt, another, said, text = job
    recording = corpus.read(root / speaker / f"{utt}.wav")
    wav, timing = folder / f"{name}-{utt}.wav", folder / f"{name}-{utt}.tsv"
    say = [program, "say", "--strict", "--condition", condition, "--seed", "1", "--timing", timing, "-o", wav, *options, said]
    if subprocess.run(say, capture_output=True).returncode:
        return None
    row = {"name": name, "utt": utt, "say": compared(recording, corpus.read(wav)), "phones": phones(timing)}
    copies = folder / f"{name}-{utt}-copy"
    subprocess.run([program, "copy", "-c", condition, root / speaker / f"{utt}.wav", "-o", copies], check=True, capture_output=True)
    row["copy"] = compared(recording, corpus.read(copies / f"{utt}.wav"))
    row["another"] = compared(recording, corpus.read(root / speaker / f"{another}.wav"))
    if shutil.which("espeak-ng"):
        subprocess.run(["espeak-ng", "-v", ESPEAK[speaker[:2]], "-w", wav, "--", text], check=True, capture_output=True)
        rate, x = wavfile.read(wav)
        row["espeak-ng"] = compared(recording, resample_poly(x / 32768, corpus.RATE, rate))
    return row


def phones(timing):
    """[(phone, seconds)], pauses left out."""
    rows = [line.split("\t") for line in timing.read_text(encoding="utf8").splitlines()[1:]]
    return [(r[3], float(r[1]) - float(r[0])) for r in rows if r[2] == "phone"]


def labelled(path):
    ends = [line.split() for line in path.read_text().splitlines() if re.match(r"\d", line)]
    starts = [0.0] + [float(e[0]) for e in ends]
    return [(name, float(end) - start) for (end, _, name), start in zip(ends, starts) if name != "pau"]


def durations(rows, labels):
    """Lengths said beside labels, of the phones that both have."""
    pairs, count = [], 0
    for row in (r for r in rows if r["name"] == "ru_nsh"):
        wanted, said = labelled(labels / f"{row['utt']}.lab"), row["phones"]
        count += len(wanted)
        matcher = difflib.SequenceMatcher(None, [w[0] for w in wanted], [s[0] for s in said], autojunk=False)
        for block in matcher.get_matching_blocks():
            pairs += [(wanted[block.a + k][1], said[block.b + k][1]) for k in range(block.size)]
    a, b = 1000 * np.array(pairs).T
    return {"phones": count, "compared": len(pairs), "mean_absolute_ms": float(np.abs(a - b).mean()), "bias_ms": float((b - a).mean()),
            "correlation": float(np.corrcoef(a, b)[0, 1]), "label_mean_ms": float(a.mean()), "label_deviation_ms": float(a.std())}


def means(rows, system):
    found = [r[system] for r in rows if system in r]
    mean = lambda key: float(np.mean([f[key] for f in found if f[key] is not None]))
    seconds = np.array([f["seconds"] for f in found])
    return {"recordings": len(found), "mcd_db": mean("mcd_db"), "f0_cents": mean("f0_cents"), "f0_mean_cents": mean("f0_mean_cents"),
            "length": float(seconds[:, 1].sum() / seconds[:, 0].sum()),
            "length_deviation": float(np.std(np.log(seconds[:, 1] / seconds[:, 0])))}


def main():
    root, program, out, *rest = sys.argv[1:] if len(sys.argv) > 3 else sys.exit(__doc__)
    root, program = Path(root), Path(program).resolve()
    if rest[:1] == ["--speech"]:
        pairs = [pair.split("=", 1) for pair in rest[2:]]
        speakers = [(f"{speaker} by {Path(condition).stem}", speaker, condition) for speaker, condition in pairs]
        labels, most, column, options = None, MOST_OTHERS, "phones", ["--speech", rest[1], "--phones"]
    else:
        speakers = [(speaker, speaker, speaker) for speaker in corpus.SPEAKERS]
        labels, most, column, options = Path(rest[0]) if rest else None, MOST, "text", ["--"]
    report = {}
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for speaker in speakers:
            texts = corpus.held_out(root, speaker[1], *SECONDS, most)
            others = texts[1:] + texts[:1]
            for (utt, _, text), (another, *_), (*_, said) in zip(texts, others, corpus.held_out(root, speaker[1], *SECONDS, most, column)):
                jobs.append((root, program, Path(folder), speaker, options, utt, another, said, text))
        rows = [row for row in corpus.each(one, jobs) if row]
    for name, *_ in speakers:
        own = [r for r in rows if r["name"] == name]
        report[name] = {system: means(own, system) for system in SYSTEMS if any(system in r for r in own)}
        print(name, report[name], flush=True)
    if labels:
        report["durations"] = durations(rows, labels)
        print(report["durations"])
    corpus.save(out, report)


if __name__ == "__main__":
    main()
