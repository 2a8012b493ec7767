#!/bin/sh
# say-by-others.sh DATA OTHERS: the recordings in DATA/SPEAKER, each said by two other speakers of a voice, as
# OTHERS/SPEAKER/OTHER/FILE.wav: what the key `others` of a run file reads (docs/train-your-own.md). Those that a
# transcripts.tsv marks `test` are for the held-out figure. Begun again, it makes what is not whole yet. Wants python3.
#
# MODEL=FILE is the voice that says them, the shipped one by default; its speakers are the folders of DATA that are
# taken. WAVESYNTH=FILE is the program. Names that differ only before their first _ are one person in several languages
# (en_allison, es_allison): she says hers in her other languages, too.
set -eu
[ $# -eq 2 ] || { sed -n '2,9p' "$0" >&2; exit 2; }
data=$1 others=$2
program=${WAVESYNTH:-target/release/wavesynth}
model=${MODEL:-voice}
mkdir -p "$others/speakers"
"$program" condition export -m "$model" --all -o "$others/speakers"
jobs=$others/jobs.tsv
: > "$jobs"
# The recordings that the trainer would take from a folder, by their paths in it, one a line. The others are named.
recordings() {
  { "$program" condition check "$1" --json || :; } | python3 -c '
import json, os, sys
text = sys.stdin.read()
if not text:
    sys.exit(1)  # the program has said why
report = json.loads(text)
for line in report["left_out"] + [r["error"] for r in report["recordings"] if r["error"]]:
    print("left out:", line, file=sys.stderr)
for r in report["recordings"]:
    if not r["error"]:
        print(os.path.relpath(r["input"], sys.argv[1]))
' "$1"
}
for vector in "$others"/speakers/*.bin; do
  speaker=$(basename "$vector" .bin)
  [ -d "$data/$speaker" ] || continue
  set --
  same=
  for other in "$others"/speakers/*.bin; do
    name=$(basename "$other" .bin)
    if [ "${name#*_}" != "${speaker#*_}" ]; then
      set -- "$@" "$name"
    elif [ "$name" != "$speaker" ]; then
      same="$same $name"
    fi
  done
  [ $# -gt 0 ] || { echo "$speaker: nobody else in $model could say it" >&2; exit 1; }
  mkdir -p "$others/tracks"
  recordings "$data/$speaker" > "$others/tracks/$speaker.list"
  while IFS= read -r recording; do
    file=${recording%.*}
    track=$others/tracks/$speaker/$file.bin
    mkdir -p "$(dirname "$track")"
    [ -s "$track" ] ||
      "$program" condition track "$data/$speaker/$recording" --like "$speaker" -m "$model" -o "$track" < /dev/null > /dev/null
    # Which two: by the name alone.
    number=$(printf %s "$speaker/$file" | cksum | cut -d' ' -f1)
    first=$((number % $#))
    second=$(($# > 1 ? (first + 1 + number / $# % ($# - 1)) % $# : first))
    at=0
    chosen=$same
    for other; do
      if [ $at -eq $first ] || [ $at -eq $second ]; then chosen="$chosen $other"; fi
      at=$((at + 1))
    done
    at=0
    # Names of folders of this layout hold no spaces.
    for other in $chosen; do
      to=$others/$speaker/$other/$file.wav
      mkdir -p "$(dirname "$to")"
      printf '%s\t%s\t%s\t%s\n' "$others/speakers/$other.bin" "$track" "$((number % 1000 + at))" "$to" >> "$jobs"
      at=$((at + 1))
    done
  done < "$others/tracks/$speaker.list"
done
"$program" render -m "$model" --dtype i8 --jobs "$jobs"
