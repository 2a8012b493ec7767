#!/bin/sh
# say-by-others.sh DATA OTHERS: the recordings of DATA/SPEAKER/*.wav, each said by two other speakers of a voice, as
# OTHERS/SPEAKER/OTHER/FILE.wav: what the key `others` of a run file reads (docs/train-your-own.md). Recordings that a
# transcripts.tsv marks `test` are left out. Begun again, it makes what is not whole yet.
#
# MODEL=FILE is the voice that says them, the shipped one by default; its speakers are the folders of DATA that are
# taken. WAVESYNTH=FILE is the program. Names that differ only before their first _ are one person in several languages
# (en_allison, es_allison), who is not another.
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
  for other in "$others"/speakers/*.bin; do
    name=$(basename "$other" .bin)
    if [ "${name#*_}" != "${speaker#*_}" ]; then set -- "$@" "$name"; fi
  done
  [ $# -gt 0 ] || { echo "$speaker: nobody else in $model could say it" >&2; exit 1; }
  mkdir -p "$others/tracks/$speaker"
  held_out=$others/tracks/$speaker/held-out
  : > "$held_out"
  if [ -f "$data/$speaker/transcripts.tsv" ]; then
    awk -F'\t' '$3 == "test" { print $1 }' "$data/$speaker/transcripts.tsv" > "$held_out"
  fi
  for recording in "$data/$speaker"/*.wav; do
    file=$(basename "$recording" .wav)
    if grep -qxF -e "$file" "$held_out"; then continue; fi
    track=$others/tracks/$speaker/$file.bin
    [ -s "$track" ] || "$program" condition track "$recording" --like "$speaker" -m "$model" -o "$track" > /dev/null
    # Which two: by the name alone.
    number=$(printf %s "$speaker/$file" | cksum | cut -d' ' -f1)
    first=$((number % $#))
    second=$(($# > 1 ? (first + 1 + number / $# % ($# - 1)) % $# : first))
    at=0
    for other; do
      if [ $at -eq $first ] || [ $at -eq $second ]; then
        mkdir -p "$others/$speaker/$other"
        printf '%s\t%s\t%s\t%s\n' "$others/speakers/$other.bin" "$track" "$((number % 1000 + at))" \
          "$others/$speaker/$other/$file.wav" >> "$jobs"
      fi
      at=$((at + 1))
    done
  done
done
"$program" render -m "$model" --dtype i8 --jobs "$jobs"
