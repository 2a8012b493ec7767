#!/bin/sh
# Holds a built program to tests/reference, with the shipped models and two recordings that it renders itself.
#   tests/reference/run.sh target/release/wavesynth
set -eu
program=$(realpath "$1")
cd "$(dirname "$0")/../.."
for python in python3 /usr/bin/python3; do
  if "$python" -c 'import numpy' 2>/dev/null; then break; fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$program" render --condition en_allison --track en_greeting --seconds 1.5 --seed 1 -o "$folder/a.wav" 2>/dev/null
"$program" render --condition it_carlo --track it_goodbye --seconds 1 --seed 2 -o "$folder/b.wav" 2>/dev/null
compare() {
  checks=$1
  shift
  "$python" -B "tests/reference/$checks.py" "$program" "$@" >> "$folder/log" || { cat "$folder/log"; exit 1; }
}
voice=models/pretrained/voice.safetensors
text=models/pretrained/text.safetensors
compare check "$voice" "$folder/a.wav" "$folder/b.wav"
compare check_types "$text" "$voice"
compare check_text "$text"
compare check_likelihoods
compare check_images
compare check_pixel_cnn
# A shipped model names no folder of the machine that it was trained on.
for model in models/pretrained/*.safetensors models/pretrained/say/*.safetensors; do
  if "$program" info "$model" | grep '= "/'; then echo "$model: its run file has an absolute path" >&2; exit 1; fi
done
echo "docs/formats.md as numpy reads it: $(grep -c '^ok' "$folder/log") comparisons agree"
