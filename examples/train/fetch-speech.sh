#!/usr/bin/env bash
# fetch-speech.sh DEST: assembles the recordings that the shipped voice was trained on, from Debian packages.
#
#   DEST/SPEAKER/UTT.wav           16 kHz mono 16-bit, six speakers, about 210 minutes
#   DEST/SPEAKER/transcripts.tsv   utt, seconds, split (test: held out, by a hash of the name), text
#   DEST/licences/                 each package's copyright file
#
# For Debian, as root (it installs ffmpeg and python3 where they are missing; the packages are unpacked, not installed).
set -euo pipefail
[ $# = 1 ] || { sed -n '2,9p' "$0" >&2; exit 2; }
mkdir -p "$1/licences"; DEST=$(cd "$1" && pwd); export DEST
TMP=$DEST/.tmp; export TMP LC_ALL=C.UTF-8 PYTHONUTF8=1 DEBIAN_FRONTEND=noninteractive
mkdir -p "$TMP"; trap 'rm -rf "$TMP"' EXIT
apt-get update -qq
command -v ffmpeg >/dev/null && command -v python3 >/dev/null ||
  apt-get install -y -qq --no-install-recommends ffmpeg python3 >/dev/null
for package in festvox-ru asterisk-core-sounds-{en,es,fr,it,ru}{,-g722}; do
  (cd "$TMP" && apt-get -qq -o APT::Sandbox::User=root download "$package")
  dpkg-deb -x "$TMP/${package}"_*.deb "$TMP/$package"
  cp "$TMP/$package/usr/share/doc/$package/copyright" "$DEST/licences/$package.copyright"
  rm "$TMP/${package}"_*.deb
done
python3 - <<'PY'
import glob, gzip, hashlib, os, re, subprocess, wave

dest, tmp = os.environ['DEST'], os.environ['TMP']
speakers = {}                                        # name: {utterance: (file, text)}

root = f'{tmp}/festvox-ru/usr/share/festival/voices/russian/msu_ru_nsh_clunits/'
speakers['ru_nsh'] = {
    m[1]: (f'{root}wav/{m[1]}.wav', m[2])
    for m in (re.match(r'\( (\S+) "(.*)" \)', line) for line in open(root + 'etc/txt.done.data', encoding='utf8'))
    if m and os.path.exists(f'{root}wav/{m[1]}.wav')}

for language, name in (('en', 'en_allison'), ('es', 'es_allison'), ('fr', 'fr_june'), ('it', 'it_carlo'),
                       ('ru', 'ru_ivrvoice')):
    package = f'asterisk-core-sounds-{language}'
    root = glob.glob(f'{tmp}/{package}-g722/usr/share/asterisk/sounds/*')[0]
    texts = f'{tmp}/{package}/usr/share/doc/{package}/core-sounds-{language}.txt.gz'
    found = speakers[name] = {}
    for line in gzip.open(texts, 'rt', encoding='utf-8-sig', errors='replace'):
        key, _, text = (part.strip() for part in line.partition(':'))
        path = f'{root}/{key}.g722'
        # Lines in brackets describe tones and silence.
        if text and key[0] != ';' and text[0] not in '[<(' and not key.startswith('silence/') and os.path.exists(path):
            found[key.replace('/', '_')] = (path, text)


def seconds(path):
    if path.endswith('.g722'):
        return os.path.getsize(path) / 8000
    with wave.open(path) as w:
        return w.getnframes() / w.getframerate()


for name, found in speakers.items():
    os.makedirs(f'{dest}/{name}', exist_ok=True)
    rows = sorted((u, seconds(f), f, re.sub(r'\s+', ' ', t)) for u, (f, t) in found.items())
    rows = [r for r in rows if 0.4 <= r[1] <= 30]
    for at in range(0, len(rows), 48):               # many files to one run, as its start costs most
        part = rows[at:at + 48]
        command = ['ffmpeg', '-nostdin', '-v', 'error', '-y']
        for _, _, path, _ in part:
            command += (['-f', 'g722'] if path.endswith('.g722') else []) + ['-i', path]
        for i, (utt, *_) in enumerate(part):
            command += ['-map', f'{i}:a:0', '-map_metadata', '-1', '-fflags', '+bitexact', '-flags:a', '+bitexact',
                        '-ac', '1', '-ar', '16000', '-c:a', 'pcm_s16le', f'{dest}/{name}/{utt}.wav']
        subprocess.run(command, check=True)
    with open(f'{dest}/{name}/transcripts.tsv', 'w', encoding='utf8') as out:
        out.write('utt\tseconds\tsplit\ttext\n')
        for utt, length, _, text in rows:
            test = int(hashlib.md5(utt.encode()).hexdigest()[:8], 16) % 20 == 0
            out.write(f'{utt}\t{length:.3f}\t{"test" if test else "train"}\t{text}\n')
    print(f'{name}: {len(rows)} recordings, {sum(r[1] for r in rows) / 60:.1f} minutes')
PY
