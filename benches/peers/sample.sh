#!/bin/sh
# sample.sh OUT MODEL.safetensors...: symbols per second of text models beside PyTorch's step of the same weights, the same
# core, turn by turn in one call. Writes OUT/sample-peers.json and OUT/sample-peers.md.
#   CORE=1 ROUNDS=5 SECONDS_EACH=1   which core, how often everybody has a turn, how long for a model
#   DTYPES="f32 f16 i8"              types of wavesynth's weights
#   PYTHON=…                         an interpreter that has requirements.txt; otherwise a throw-away environment is made
#   PROGRAM=…                        a program that is built already
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1; shift
core=${CORE:-1} seconds=${SECONDS_EACH:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=${PROGRAM:-$here/../../target/release/wavesynth}
[ -n "${PROGRAM:-}" ] || cargo build --release --manifest-path "$here/../../Cargo.toml"
python=${PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv "$work/venv"
  python=$work/venv/bin/python
  "$python" -m pip install --quiet -r "$here/requirements.txt"
fi
mkdir -p "$out"
export RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1
for _ in $(seq "${ROUNDS:-5}"); do
  for model in "$@"; do
    for dtype in ${DTYPES:-f32 f16 i8}; do
      # The bench counts symbols in seconds of sound at 16 kHz.
      taskset -c "$core" "$program" bench throughput -m "$model" --dtype "$dtype" --seconds "$seconds" --json |
        "$python" -c 'import json, sys
for r in json.load(sys.stdin):
    print(json.dumps({"who": "wavesynth", "model": sys.argv[1], "form": r["isa"], "dtype": sys.argv[2],
                      "ns_per_symbol": r["ns_per_symbol_mean"], "symbols": r["symbols"]}))' "$model" "$dtype" >> "$work/raw.jsonl"
    done
    taskset -c "$core" "$python" "$here/sample.py" "$model" "$seconds" >> "$work/raw.jsonl"
  done
done
"$python" "$here/sample.py" table "$work/raw.jsonl" "$out/sample-peers.json" "$out/sample-peers.md"
cat "$out/sample-peers.md"
