#!/usr/bin/env python3
"""czech.py TRANSCRIPTS.tsv: prints the table with one more column, `phones`, made of the Czech spelling in `text` by rules.

czech.py --text "Dobrý den.": prints the phones of a text, as `wavesynth say --phones` takes them.

Phones are named in the IPA, a long vowel by its tense neighbour: e ɛ, é e; i ɪ, í i; o ɔ, ó o; u ʊ, ú u; but a a, á aː. ch is h, h is ɦ,
ř is r̝, ď and ť are dʲ and tʲ; ou, au and eu are two phones. A run with start_from finds the nearest sound of each.
The first syllable of a word is stressed; v, s, z and k belong to the word behind them. In a cluster and at a word's end the voicing is
that of what follows. In a few foreign stems d, t, n in front of i are hard.

Left out, and counted on stderr: rows with digits, with two capitals in a row (FDTO), and with letters that are none of Czech.
"""
import csv, re, sys

LETTERS = dict(zip("aáeéiíoóuúbcčdďfghχjklmnňprřsštťvzž",
                   "a aː ɛ e ɪ i ɔ o ʊ u b ts tʃ d dʲ f ɡ ɦ h j k l m n ɲ p r r̝ s ʃ t tʲ v z ʒ".split()))
LETTERS |= {"ŋ": "ŋ", "ǆ": "dʒ"}
VOWELS = "a aː ɛ e ɪ i ɔ o ʊ u".split()
DEVOICED = {"b": "p", "d": "t", "dʲ": "tʲ", "ɡ": "k", "v": "f", "z": "s", "ʒ": "ʃ", "dz": "ts", "dʒ": "tʃ", "ɦ": "h"}
VOICED = {voiceless: voiced for voiced, voiceless in DEVOICED.items()}
HARD = ("aktiv|anim|daniken|dimenz|disk|disr|elektroni|indi|magneti|manic|manipul|mechani|minimal|monitor|motiv|multi|munic|organi|piknik|"
        "spectri|techni|titul|[td]i(?=k)|[tn]i(?=ck)")
SPELLING = [  # in this order: pattern, what stands there then
    ("(?<=[dtn])i(?=[aeéiouáóů])", "yj"), (HARD, lambda m: re.sub("(?<=[dtn])i", "y", m[0])),
    ("(^|^ne)ex(?=[aeiou])", r"\1egz"), ("x", "ks"), ("q", "kv"), ("w", "v"), ("ch", "χ"), ("dž", "ǆ"), ("[td]š", "č"), ("[td]s(?=k)", "c"),
    ("mě", "mňe"), ("dě|di|dí", lambda m: "ď" + m[0][1]), ("tě|ti|tí", lambda m: "ť" + m[0][1]), ("ně|ni|ní", lambda m: "ň" + m[0][1]),
    ("(?<=[ďťň])ě", "e"), ("ě", "je"), ("i(?=[aeéouáóů])", "ij"), ("y", "i"), ("ý", "í"), ("ů", "ú"),
    ("^js", "s"), ("n(?=[kg])", "ŋ"), ("sh", "sχ"), (r"([^aeiou])\1", r"\1"),
]
BETWEEN_WORDS = [
    (r"(?<=\w)-(?=\w)", " "), (r"\bv (?=[aeiouáéíóú])", "f"), (r"\bz (?=[aeiouáéíóú])", "s"), (r"\b([vszk]) (?=\w)", r"\1"),
]


def word(spelling):
    """Phones of a word in small letters, before its neighbours change them."""
    for pattern, to in SPELLING:
        spelling = re.sub(pattern, to, spelling)
    phones = [LETTERS[letter] for letter in spelling]
    at = lambda i: phones[i] if 0 <= i < len(phones) else ""
    syllabic = lambda i: at(i) in ("r", "l") and at(i - 1) not in VOWELS + [""] and at(i + 1) not in VOWELS
    nuclei = [i for i in range(len(phones)) if at(i) in VOWELS or syllabic(i)]
    marks = {i: "1" if i == nuclei[0] else "0" for i in nuclei if at(i) in VOWELS or i == nuclei[0]}
    return [phone + marks.get(i, "") for i, phone in enumerate(phones)]


def assimilated(words):
    """Words between two pauses, the voicing of their obstruents as it is said: from the end on."""
    behind = None
    for phones in reversed(words):
        for i in reversed(range(len(phones))):
            own = phones[i]
            if own in DEVOICED or own in VOICED:
                voiced = behind in DEVOICED and behind != "v"
                if voiced:
                    phones[i] = VOICED.get(own, own)
                elif behind in VOICED or i + 1 == len(phones):
                    phones[i] = DEVOICED.get(own, own)
            behind = phones[i]
    return words


def phones(text):
    """What is said, or None where these rules can't read it."""
    if re.search(r"\d|[A-ZÁČĎÉÍŇŘŠŤÚŽ]{2}", text):
        return None
    text = re.sub(r"(\.\.+|…)(?= [a-zčďňřšťžáéíóúů])", ",", text).lower()
    for pattern, to in BETWEEN_WORDS:
        text = re.sub(pattern, to, text)
    parts = re.findall(r"[^\W_]+|[.?!,:;…–-]", text)
    said, words = [], []
    for part in parts + ["."]:
        if part[0].isalpha():
            if set(part) - set("aábcčdďeéěfghiíjklmnňoópqrřsštťuúůvwxyýzž"):
                return None
            words.append(word(part))
        elif words:
            mark = part if part in ".?!" else "." if part == "…" else ","
            said.append(" | ".join(" ".join(p) for p in assimilated(words)) + f" {mark}")
            words = []
    return " ".join(said)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--text":
        return print(phones(sys.argv[2]) or sys.exit("these rules can't read it"))
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf8") as file:
        table = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = [row | {"phones": phones(row["text"])} for row in table]
    print(*rows[0], sep="\t")
    for row in (row for row in rows if row["phones"]):
        print(*row.values(), sep="\t")
    print(f"{sum(not row['phones'] for row in rows)} of {len(rows)} rows left out", file=sys.stderr)


main()
