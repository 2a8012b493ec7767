#!/bin/sh
# pixels.sh OUT: pixels drawn by each family of image models beside PyTorch's whole forward pass for a pixel, and 64 images in lockstep
# beside one, in turn, ROUNDS times, on one core. Writes OUT/pixels.jsonl and OUT/pixels.md. The models are those of
# examples/train/images-*.toml after one step of training: weights do not change how long a pixel takes.
#   DATA=data         the folder that the run files name       PROGRAM=…  a program that is built already
#   PYTHON=python3    a Python with torch                      CORE=1     the core
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
program=${PROGRAM:-$here/../../target/release/wavesynth}
[ -n "${PROGRAM:-}" ] || cargo build --release --manifest-path "$here/../../Cargo.toml"
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
ln -s "$(cd "${DATA:-data}" && pwd)" "$tmp/data"
families="nade made lstm pixelrnn pixelcnn transformer"
for family in $families; do
  # One step, and as little held out as can be.
  sed 's/^validation = .*/held_out = 0.001/; s/^keep_best.*//' "$here/../../examples/train/images-$family.toml" > "$tmp/$family.toml"
  (cd "$tmp" && "$program" train --stop-after 1 "$family.toml" > "$tmp/log" 2>&1) || { cat "$tmp/log" >&2; exit 1; }
done
own() {
  taskset -c "${CORE:-1}" "$program" bench throughput -m "$tmp/runs/$1/images.safetensors" --dtype f32 --streams "$2" --seconds "$3" --json |
    "${PYTHON:-python3}" -c 'import json, sys
r = json.load(sys.stdin)[0]
print(json.dumps({"program": "wavesynth", "family": sys.argv[1], "streams": r["streams"], "ns_per_pixel": r["ns_per_symbol_mean"],
                  "p50": r["ns_per_symbol"]["p50"], "p99": r["ns_per_symbol"]["p99"], "max": r["ns_per_symbol"]["max"], "isa": r["isa"]}))' "$1"
}
: > "$out/pixels.jsonl"
for _ in $(seq "${ROUNDS:-3}"); do
  for family in $families; do
    own "$family" 1 1 >> "$out/pixels.jsonl"
    own "$family" 64 0.25 >> "$out/pixels.jsonl"
    taskset -c "${CORE:-1}" "${PYTHON:-python3}" "$here/pixels.py" "$family" 3 >> "$out/pixels.jsonl"
  done
done
"${PYTHON:-python3}" "$here/pixels.py" table "$out/pixels.jsonl" "$out/pixels.md"
cat "$out/pixels.md"
