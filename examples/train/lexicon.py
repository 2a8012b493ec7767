#!/usr/bin/env python3
"""lexicon.py en CMUDICT.dict LEXICON LINES: makes what the English letters-to-phones model learns.

LEXICON gets `word PHONE PHONE …`, a line for each pronunciation, the words in the order of their SHA-256, so that the last
part of them is a fair sample. LINES gets the same words as the model reads them: the letters, `|`, then each letter followed by its phones, a
phone as one character: number i of the language's phones is U+0100 + i. Which phones belong to which letter is found
by Viterbi training (expectation-maximisation over the best paths) of p(phones | letter), 0 to 2 phones a letter.

lexicon.py ru DICT.scm LEXICON LINES: the same for Russian stress. LEXICON gets `word N`, N the stressed vowel counted from
the end, with ё behind it where a written е is said as ё; LINES gets `word|N`.
"""
import hashlib, math, re, sys
from collections import Counter, defaultdict

CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()
VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split()
PHONES = CONSONANTS + [v + s for v in VOWELS for s in "012"]
CODE = {p: chr(0x100 + i) for i, p in enumerate(PHONES)}
LONGEST = 72  # characters of a line for the model


def by_hash(words):
    return sorted(words, key=lambda w: hashlib.sha256(w.encode()).digest())


def english(path):
    words = {}
    for line in open(path, encoding="utf-8"):
        word, *phones = line.split("#")[0].split()
        word = re.sub(r"\(\d\)$", "", word)
        if re.fullmatch("[a-z']+", word) and re.search("[a-z]", word):
            words.setdefault(word, []).append(phones)
    return words


def aligned(words):
    """For each word the phones of each of its letters."""
    score = defaultdict(lambda: -12.0)
    near = Counter()
    for word, phones in words.items():
        for i, letter in enumerate(word):
            at = (i + 0.5) * len(phones) / len(word)
            for j, phone in enumerate(phones):
                if abs(j + 0.5 - at) < 1.5:
                    near[letter, (phone,)] += 1
    total = Counter()
    for (letter, _), n in near.items():
        total[letter] += n
    for (letter, chunk), n in near.items():
        score[letter, chunk] = math.log(n / total[letter])
    for letter in total:
        score[letter, ()] = -3.0

    def best(word, phones, score):
        # at[j]: the best score with j phones said, and how many the last letter has.
        n, at, back = len(phones), {0: 0.0}, []
        for i, letter in enumerate(word):
            new, last = {}, {}
            rest = len(word) - i - 1
            for j, s in at.items():
                for k in (0, 1, 2):
                    end = j + k
                    if end > n or n - end > 2 * rest:
                        continue
                    total = s + score[letter, tuple(phones[j:end])]
                    if end not in new or total > new[end]:
                        new[end], last[end] = total, k
            at = new
            back.append(last)
        if n not in at:
            return None
        chunks, j = [], n
        for last in reversed(back):
            k = last[j]
            chunks.append(tuple(phones[j - k : j]))
            j -= k
        return chunks[::-1]

    for _ in range(5):
        count, total = Counter(), Counter()
        for word, phones in words.items():
            for letter, chunk in zip(word, best(word, phones, score) or []):
                count[letter, chunk] += 1
                total[letter] += 1
        score = defaultdict(lambda: -14.0)
        for (letter, chunk), n in count.items():
            score[letter, chunk] = math.log(n / total[letter])
    return {word: best(word, phones, score) for word, phones in words.items()}


def russian(path):
    words = {}
    for line in open(path, encoding="utf-8"):
        m = re.match(r'\("([а-яё-]+)" \S+ \((\d+)\)( fix_yo)?', line)
        if not m:
            continue
        word, stress = m[1], int(m[2])
        vowels = re.findall("[аеёиоуыэюя]", word)
        # A stressed ё may be written е, and then is marked.
        if 1 <= stress <= len(vowels) and len(vowels) > 1 and "ё" not in word:
            is_yo = m[3] and vowels[stress - 1] == "е"
            words.setdefault(word, str(len(vowels) - stress + 1) + ("ё" if is_yo else ""))
    return words


def main():
    language, source, lexicon, lines = sys.argv[1:]
    if language == "en":
        words = english(source)
        chunks = aligned({w: variants[0] for w, variants in words.items()})
        say = lambda w: [" ".join(phones) for phones in words[w]]
        learn = lambda w: chunks[w] and "".join(
            c + "".join(CODE[p] for p in ps) for c, ps in zip(w, chunks[w])
        )
    else:
        words = russian(source)
        say, learn = lambda w: [words[w]], words.get
    order = by_hash(words)
    with open(lexicon, "w", encoding="utf-8") as f:
        f.writelines(f"{w} {said}\n" for w in order for said in say(w))
    with open(lines, "w", encoding="utf-8") as f:
        for w in order:
            answer = learn(w)
            line = f"{w}|{answer}\n"
            if answer and len(line) <= LONGEST:
                f.write(line)


main()
