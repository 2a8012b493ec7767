#!/bin/sh
# text.sh OUT: RNN, CNN and transformer of about 235,000 parameters, each trained for about a minute of one core on tiny
# Shakespeare (data/tinyshakespeare.txt, 1,115,394 characters, the last tenth held out), then side by side: writes
# OUT/compare.json, OUT/compare.md and OUT/exposure.svg. What is trained already stays.
#   PROGRAM=…   a program that is built already        JUDGE=text   the model that judges what they write
set -eu
cd "$(dirname "$0")/.."
out=$1
text=data/tinyshakespeare.txt
program=${PROGRAM:-target/release/wavesynth}
[ -n "${PROGRAM:-}" ] || cargo build --release
[ "$(wc -c < "$text")" -eq 1115394 ] || { echo "$text: wanted the 1,115,394 bytes of tiny Shakespeare" >&2; exit 1; }
for name in rnn rnn-mild rnn-scheduled cnn gpt; do
  [ -f "runs/compare/$name/text.safetensors" ] || "$program" train "benches/text/$name.toml"
done
mkdir -p "$out"
tail -c 111540 "$text" > runs/compare/held-out.txt
set --
for name in rnn rnn-mild rnn-scheduled cnn gpt; do set -- "$@" "runs/compare/$name/text.safetensors"; done
"$program" compare "$@" --text runs/compare/held-out.txt --judge "${JUDGE:-text}" --table "$out/compare.md" \
  --plot "$out/exposure.svg" --json > "$out/compare.json"
cat "$out/compare.md"
