#!/bin/sh
# engine.sh [OUT]: the engine beside PyTorch eager, ONNX Runtime and candle: the same shapes, the same core, turn by turn in
# one call. Writes OUT/engine-peers.json and OUT/engine-peers.md (default benches/runs/DATE-MACHINE).
#   CORE=1 ROUNDS=5 SECONDS_EACH=1   which core, how often everybody has a turn, how long for a shape
#   DTYPES=f32                       types of wavesynth's weights
#   PYTHON=…                         an interpreter that has requirements.txt; otherwise a throw-away environment is made
set -eu
cd "$(dirname "$0")/../.."
core=${CORE:-1} rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-1} dtypes=${DTYPES:-f32}
out=${1:-benches/runs/$(date +%F)-$(uname -n)}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --release
cargo build --release --manifest-path benches/peers/candle/Cargo.toml --target-dir target/peers
program=target/release/wavesynth
python=${PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv "$work/venv"
  python=$work/venv/bin/python
  "$python" -m pip install --quiet -r benches/peers/requirements.txt
fi

export RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1
"$program" bench shapes --json > "$work/shapes.json"
for isa in avx2 avx512 neon; do
  "$program" bench throughput --shape deepvoice-small --seconds 0.01 --isa $isa > "$work/log" 2>&1 && isas="${isas:-} $isa"
done
for round in $(seq "$rounds"); do
  echo "round $round of $rounds" >&2
  for dtype in $dtypes; do
    for isa in ${isas:-plain}; do
      taskset -c "$core" "$program" bench throughput --shape all --seconds "$seconds" --isa "$isa" --dtype "$dtype" --json |
        "$python" -c 'import json, sys
for r in json.load(sys.stdin):
    print(json.dumps({"peer": "wavesynth " + r["isa"], "shape": r["shape"], "dtype": r["dtype"],
                      "ns_per_symbol": r["ns_per_symbol_mean"], "symbols": r["symbols"]}))' >> "$work/raw.jsonl"
    done
  done
  taskset -c "$core" target/peers/release/engine-candle "$work/shapes.json" "$seconds" >> "$work/raw.jsonl"
  for peer in onnxruntime torch; do
    taskset -c "$core" "$python" benches/peers/engine.py $peer "$work/shapes.json" "$seconds" >> "$work/raw.jsonl"
  done
done
"$python" benches/peers/engine.py table "$work/raw.jsonl" "$out/engine-peers.json" "$out/engine-peers.md"
{
  grep -m1 'model name' /proc/cpuinfo || uname -m
  echo "core $core, load $(cut -d' ' -f1-3 /proc/loadavg), $(date -u +%FT%TZ), commit $(git describe --always --dirty)"
} | tee "$out/engine-peers-machine.txt"
cat "$out/engine-peers.md"
