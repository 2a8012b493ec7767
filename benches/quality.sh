#!/bin/sh
# quality.sh CORPUS OUT: the shipped voice on every held-out recording of its corpus (examples/train/fetch-speech.sh makes
# it). Writes OUT/eval-SPEAKER.json and OUT/copy-SPEAKER.json, and the copies to OUT/copies/SPEAKER (not for committing).
set -eu
corpus=$1; mkdir -p "$2"; out=$(cd "$2" && pwd)
cargo build --release
program=$PWD/target/release/wavesynth
cd "$corpus"
for speaker in en_allison es_allison fr_june it_carlo ru_ivrvoice ru_nsh; do
  files=$(awk -F'\t' -v s="$speaker" '$3 == "test" { print s "/" $1 ".wav" }' "$speaker/transcripts.tsv")
  # File names of this corpus hold no spaces.
  # shellcheck disable=SC2086
  "$program" eval --condition "$speaker" $files --json > "$out/eval-$speaker.json"
  # shellcheck disable=SC2086
  "$program" copy --condition "$speaker" $files --output "$out/copies/$speaker" --json > "$out/copy-$speaker.json"
done
