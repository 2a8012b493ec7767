#!/bin/sh
# train.sh OUT [SHAPE...]: this trainer and PyTorch at the same steps on the same cores, one after the other. Writes
# OUT/train-peers.json. First every form of PyTorch once, then its best form and this program in turn, ROUNDS times, so
# that a machine that slows down slows both. Needs python3, a C++ compiler for torch.compile, and an otherwise idle
# machine. PYTHON=… uses a Python that has torch; without it pip makes a throw-away one. FORMS=… tries only these.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1; shift
[ $# -gt 0 ] || set -- wavenet-30 shipped
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
if [ -z "${PYTHON:-}" ]; then
  python3 -m venv "$tmp/venv"
  "$tmp/venv/bin/pip" install -q -r "$here/requirements.txt"
  PYTHON=$tmp/venv/bin/python
fi
cargo build --release --manifest-path "$here/../../Cargo.toml"
program=$here/../../target/release/wavesynth
peer() { "$PYTHON" "$here/train.py" --shape "$1" --form "$2" --steps "$3" >> "$tmp/$4.jsonl" 2>> "$tmp/errors" || echo "$1 $2: failed" >&2; }
for shape in "$@"; do
  for form in ${FORMS:-$("$PYTHON" "$here/train.py" --shape "$shape" --list)}; do peer "$shape" "$form" 4 forms; done
  best=$("$PYTHON" "$here/summary.py" best "$shape" "$tmp/forms.jsonl")
  for _ in $(seq "${ROUNDS:-5}"); do
    # All rows in the loss, as PyTorch has them.
    "$program" bench train --shape "$shape" --warmup 0 --steps 10 --threads 2 --json >> "$tmp/own.jsonl"
    peer "$shape" "$best" 10 best
  done
  # As it trains: the receptive field warmed up and out of the loss.
  "$program" bench train --shape "$shape" --steps 10 --threads 2 --json >> "$tmp/usual.jsonl"
done
mkdir -p "$out"
"$PYTHON" "$here/summary.py" all "$tmp" > "$out/train-peers.json"
