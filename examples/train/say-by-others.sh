#!/bin/sh
# say-by-others.sh DATA OTHERS: the recordings of DATA/SPEAKER/*.wav, each said by two other speakers of a voice, as
# OTHERS/SPEAKER/OTHER/FILE.wav: what the key `others` of a run file reads (docs/train-your-own.md). Those that a
# transcripts.tsv marks `test` are for the held-out figure. Begun again, it makes what is not whole yet.
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
  mkdir -p "$others/tracks/$speaker"
  for recording in "$data/$speaker"/*.wav; do
    file=$(basename "$recording" .wav)
    track=$others/tracks/$speaker/$file.bin
    [ -s "$track" ] || "$program" condition track "$recording" --like "$speaker" -m "$model" -o "$track" > /dev/null
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
      mkdir -p "$others/$speaker/$other"
      printf '%s\t%s\t%s\t%s\n' "$others/speakers/$other.bin" "$track" "$((number % 1000 + at))" \
        "$others/$speaker/$other/$file.wav" >> "$jobs"
      at=$((at + 1))
    done
  done
done
"$program" render -m "$model" --dtype i8 --jobs "$jobs"
