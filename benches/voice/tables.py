"""tables.py RESULTS DOC.md: tables made from RESULTS/*.json, between DOC's marks `<!-- NAME -->` and `<!-- end -->`."""

import json
import re
import sys
from pathlib import Path
from statistics import stdev

from corpus import SPEAKERS

DTYPES = ("f32", "f16", "i8")
SYSTEMS = {
    "i8": "**the voice**, i8, as it plays", "f16": "the voice, f16", "f32": "the voice, f32",
    "i8-unfiltered": "the voice, i8, without the post-filter",
    "griffin-lim": "Griffin-Lim", "griffin-lim-f0": "Griffin-Lim with F0", "world": "WORLD",
    "codec2": "Codec 2, 3.2 kbit/s", "opus": "Opus, 6 kbit/s", "mulaw": "mu-law alone", "original": "the recording",
}
FIGURES = (  # key, heading, format
    ("log_spectral_db", "spectral distance, dB", "{:.2f}"), ("log_mel_db", "log-mel distance, dB", "{:.2f}"),
    ("f0_correlation", "F0 correlation", "{:.3f}"), ("f0_cents", "F0 error, cents", "{:.0f}"),
    ("voicing_error", "voicing error, %", "{:.1%}"), ("harmonicity_db", "harmonicity, dB", "{:.1f}"),
    ("stoi", "STOI", "{:.3f}"), ("pesq_wb", "PESQ-WB", "{:.2f}"),
)

LIVE = {"first": "the input speaker's first sentence", "later": "after half a minute of speech", "like": "the first sentence, with `--like`"}


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def shown(value, form):
    return "–" if value is None else form.format(value).removesuffix("%")


def figures(row, chosen=FIGURES):
    return [shown(row.get(key), form) for key, _, form in chosen]


def some(*keys):
    """FIGURES of these keys."""
    return [f for f in FIGURES if f[0] in keys]


def wrong(row):
    return f"{row['words_wrong']} of {row['words']}" if row.get("words") else "–"


class Results:
    def __init__(self, folder):
        self.folder = folder

    def read(self, name):
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def systems(self):
        """All speakers together, a row a system."""
        found = [(title, self.read(name)) for name, title in SYSTEMS.items()]
        rows = [[title, *figures(r["all"]), wrong(r["speakers"]["en_allison"])] for title, r in found if r]
        return table(["system", *(heading for _, heading, _ in FIGURES), "English words wrong"], rows)

    def nats(self, dtype, speaker):
        report = self.read(f"eval-{dtype}-{speaker}")
        return f"{report['nats_per_symbol']:.3f}" if report else "–"

    def speakers(self, dtypes=DTYPES, chosen=FIGURES):
        """The voice as it plays, a row a speaker."""
        head = ["speaker", "recordings", *(f"nats, {d}" for d in dtypes), *(heading for _, heading, _ in chosen)]
        rows = [[s, f"{r['recordings']}, {r['seconds']:.0f} s", *(self.nats(d, s) for d in dtypes), *figures(r, chosen)]
                for s, r in self.read("i8")["speakers"].items()]
        return table(head, rows)

    def card(self):
        """The same in fewer figures."""
        return self.speakers(("f32", "i8"), some("log_mel_db", "f0_correlation", "voicing_error", "stoi", "pesq_wb"))

    def post_filter(self):
        """With it, without it, and WORLD: all recordings, and PESQ-WB by speaker."""
        chosen, pesq, rows = some("log_mel_db", "stoi", "pesq_wb"), some("pesq_wb"), []
        for title, name in ("without", "i8-unfiltered"), ("with", "i8"), ("WORLD", "world"):
            r = self.read(name)
            rows.append([title, *figures(r["all"], chosen), wrong(r["speakers"]["en_allison"]),
                         *(figures(r["speakers"][s], pesq)[0] for s in SPEAKERS)])
        return table(["", *(heading for _, heading, _ in chosen), "English words wrong", *SPEAKERS], rows)

    def by_speaker(self, key, form):
        """One figure of every system, a column a speaker."""
        found = [(title, self.read(name)) for name, title in SYSTEMS.items() if name != "original"]
        rows = [[title, *(shown(r["speakers"].get(s, {}).get(key), form) for s in SPEAKERS)] for title, r in found if r]
        return table(["system", *SPEAKERS], rows)

    def sampling(self):
        found = sorted(self.folder.glob("sampling-*.json"), key=lambda p: p.stem)
        rows = [(p.stem.removeprefix("sampling-"), json.loads(p.read_text())["all"]) for p in found]
        return table(["sampling", *(heading for _, heading, _ in FIGURES), "English words wrong"],
                     [[name.replace("-", " "), *figures(r), wrong(r)] for name, r in rows])

    def shapes(self):
        """Short runs, a row each."""
        dtypes = ("f32", "f16", "i8")
        head = ["run", "nats", *(heading for _, heading, _ in FIGURES), "English words wrong", "MB",
                "multiply-adds", f"times real time, {', '.join(dtypes)}"]
        rows = [[title, f"{r['nats']:.3f}", *figures(r["copies"]), wrong(r["copies"]), f"{r['megabytes']:.1f}",
                 f"{r['macs_per_symbol'] / 1000:.0f}k", ", ".join(f"{r['times_real_time'][d]:.1f}" for d in dtypes)]
                for title, r in self.read("shapes").items()]
        return table(head, rows)

    def words(self):
        """Words wrong by system over its seeds."""
        result, rows = self.read("words"), []
        for name, r in result["systems"].items():
            by_seed = r["wrong"]
            drawn = len(by_seed) > 1
            error = f" ± {stdev(by_seed) / len(by_seed) ** 0.5:.1f}" if drawn else ""
            rows.append([SYSTEMS[name], len(by_seed) if drawn else "–", f"{r['mean']:.1f}{error} of {result['words']}",
                         f"{min(by_seed)} to {max(by_seed)}" if drawn else "–"])
        return table(["system", "seeds", "English words wrong, mean and its standard error", "fewest and most"], rows)

    def swap(self):
        swap = self.read("speakers")["swap"]
        percent = lambda r: f"{r['right']} of {r['of']}, {r['right'] / max(r['of'], 1):.0%}"
        kinds = (("recordings", "originals"), ("copies, own vector", "own"), ("swapped, another's vector", "swapped"))
        counts = [[title, percent(swap[key]), percent(swap[f"{key}_persons"])] for title, key in kinds]
        counts.append(["swapped, another person's vector", "–", percent(swap["between_persons"])])
        said = self.read("speakers")["words"]
        wrong = lambda t: f"{said[t]['words_wrong']} of {said[t]['words']}"
        confusion = [[t, *(swap["confusion"][t][h] or "·" for h in SPEAKERS), wrong(t)] for t in SPEAKERS]
        between, source = swap["between_persons"]["of"], swap["source_heard"]
        more = "; ".join(percent(r) for r in swap["more_seeds_persons"])
        return "\n\n".join([
            table(["utterances", "speaker recognised, of six", "person recognised, of five"], counts),
            f"In {source} of the {between} between persons the encoder recognises the person of the track. "
            f"All swapped utterances with other seeds, persons: {more}.",
            table(["vector", *(f"recognised as {h}" for h in SPEAKERS), "English words wrong"], confusion)])

    def strangers(self):
        r = self.read("speakers")["strangers"]
        if not r:
            return "Not measured."
        return (f"Of {r['of']} utterances the target is the nearest of the voice's persons in {r['right_of_six']}. Where the encoder "
                f"also knows the unknown speakers, the target is nearest in {r['right']}, the unknown speaker in {r['strangers']}, "
                f"another person in {r['of'] - r['right'] - r['strangers']}.")

    def live(self):
        rows = []
        for way, title in LIVE.items():
            r = self.read("live")[way]
            him = r.get("strangers")
            beside = f"{him['right']}, {him['strangers']} of {him['of']}" if him else "–"
            rows.append([title, f"{r['right']} of {r['of']}", r["source_heard"],
                         f"{him['right_of_six']} of {him['of']}" if him else "–", beside, wrong(r)])
        return table(["input", "known speakers: target recognised", "input speaker recognised", "unknown speakers: target nearest of five",
                      "with their references: target, unknown speaker", "English words wrong"], rows)

    def likeness(self):
        """Words against voice."""
        rows = [[r["likeness"], f"{r['heard']} of {r['of']}", r["source_heard"], wrong(r)] for r in self.read("likeness")["rows"]]
        return table(["`--likeness`", "person of the vector recognised", "person of the track", "English words wrong, four other persons"], rows)

    def mix(self):
        rows, mixed = [], self.read("speakers")["mix"]
        for row in mixed:
            pairs = zip(row["similarity_from"], row["similarity_to"])
            rows.append([f"{row['from']} to {row['to']}", *(f"{a:.2f}, {b:.2f}" for a, b in pairs),
                         "yes" if row["monotonic"] else "no"])
        return table(["pair", *(f"{share:.0%}" for share in mixed[0]["shares"]), "moves one way"], rows)

    def enroll(self):
        result = self.read("enrolling")
        head = ["speaker", "said by", "log-mel, dB", "STOI", "PESQ-WB", "similarity", "nearest to the speaker",
                "shipped tracks: similarity", f"words wrong of {result['tracks']['words']}"]
        rows, names = [], {"nearest": "the nearest shipped speaker", "enrolled": "the enrolled one", "world": "WORLD"}
        for r in result["rows"]:
            for way, name in names.items():
                f, said = r[way], r[way].get("said")
                rows.append([r["speaker"], name, f"{f['log_mel_db']:.2f}", f"{f['stoi']:.3f}", f"{f['pesq_wb']:.2f}",
                             f"{f['similarity']:.2f}", f"{f['own_nearest']:.0%}",
                             *((f"{said['similarity']:.2f}", str(said["words_wrong"])) if said else "––")])
            f = r["original"]
            rows.append([r["speaker"], "the recordings", *"–––", f"{f['similarity']:.2f}", f"{f['own_nearest']:.0%}", *"––"])
        return table(head, rows)

    def silence(self):
        def level(v):
            return "digital silence" if v is None else f"{v:.0f}"

        def pauses(r):
            found = (level(r["pause_original_dbfs"]), level(r["pause_copy_dbfs"])) if r["pause_s"] else ("–", "–")
            return [f"{r['pause_s']:.1f} s", *found]

        rows = [[s, level(r["silence_dbfs"]), level(r["silence_peak_dbfs"]), *pauses(r)]
                for s, r in self.read("silence").items()]
        return table(["speaker", "silence rendered: level, dBFS", "its peak", "pauses", "in recordings, dBFS", "in copies"],
                     rows)

    def part(self, name):
        """The table called so; where its results are not there, that."""
        needs = {"speakers": "i8", "card": "i8", "post_filter": "i8-unfiltered", "enroll": "enrolling", "silence": "silence", "live": "live", "likeness": "likeness", "shapes": "shapes", "words": "words",
                 **dict.fromkeys(("swap", "mix", "strangers"), "speakers")}
        if name in needs and not self.read(needs[name]):
            return "Not measured."
        key = re.fullmatch(r"by speaker: (\w+)", name)
        if key:
            return self.by_speaker(key[1], next(form for k, _, form in FIGURES if k == key[1]))
        return getattr(self, name)()


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    results, doc = Results(Path(sys.argv[1])), Path(sys.argv[2])
    text = doc.read_text()
    text = re.sub(r"(<!-- (?!end)(.+?) -->\n).*?(<!-- end -->)",
                  lambda m: f"{m[1]}\n{results.part(m[2])}\n\n{m[3]}", text, flags=re.DOTALL)
    doc.write_text(text)


if __name__ == "__main__":
    main()
