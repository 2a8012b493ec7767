#!/bin/sh
# levels.sh OUT: images of 256 levels, one Gated PixelCNN (32 channels, 8 layers), 400 steps of 16 images, by this program and by PyTorch, on
# MNIST, Fashion-MNIST and a set in colour, 32 by 32. Writes OUT/NAME.json (this program's bits of a dimension of the test images, by the
# engine), OUT/NAME.csv (the log of its training), OUT/NAME-torch.json and OUT/levels.md.
#   PROGRAM=…   a program that is built already      PYTHON=python3   a Python with torch      STEPS=400     THREADS=1
#   DATA=data   the folder with images/{mnist,fashion-mnist,emoji32}
set -eu
. "$(dirname "$0")/begin.sh"
data=$data/images python=${PYTHON:-python3} steps=${STEPS:-400} threads=${THREADS:-1}
# The set in colour has no test images of its own: its last tenth.
"$python" - "$data/emoji32/images-idx4-ubyte" <<'PY'
import sys
data = open(sys.argv[1], "rb").read()
count, size = int.from_bytes(data[4:8], "big"), 32 * 32 * 3
cut = count - count // 10
for name, a, b in ("emoji-train", 0, cut), ("emoji-test", cut, count):
    open(name, "wb").write(data[:4] + (b - a).to_bytes(4, "big") + data[8:20] + data[20 + a * size : 20 + b * size])
PY
{
  echo "| images | bits a dimension of the test images | PyTorch |"
  echo "|---|---:|---:|"
} > "$out/levels.md"
for name in mnist fashion emoji; do
  pixels=grey components=0
  case $name in
    mnist) train=$data/mnist/train-images-idx3-ubyte test=$data/mnist/t10k-images-idx3-ubyte ;;
    fashion) train=$data/fashion-mnist/train-images-idx3-ubyte.gz test=$data/fashion-mnist/t10k-images-idx3-ubyte.gz ;;
    emoji) train=$tmp/emoji-train test=$tmp/emoji-test pixels=rgb components=5 ;;
  esac
  cat > "$name.toml" <<TOML
[images]
file = "$train"
held_out = 0.0
pixels = "$pixels"
components = $components

[model]
family = "pixel_cnn"
channels = 32
layers = 8

[train]
steps = $steps
batch = 16
optimizer = "muon"
learning_rate = 5e-3
warmup_steps = 50
weight_decay = 0.0
ema = 0.99
threads = $threads
seed = 0
TOML
  "$program" train --device cpu "$name.toml"
  "$program" eval -m "runs/$name" --json "$test" > "$out/$name.json"
  cp "runs/$name/log.csv" "$out/$name.csv"
  "$python" "$here/benches/peers/images.py" --images "$train" --test "$test" --steps "$steps" --threads "$threads" > "$out/$name-torch.json"
  "$python" - "$name" "$out/$name" >> "$out/levels.md" <<'PY'
import json, sys
read = lambda end: json.load(open(sys.argv[2] + end))["bits_per_dimension"]
print(f"| {sys.argv[1]} | {read('.json'):.3f} | {read('-torch.json'):.3f} |")
PY
done
cat "$out/levels.md"
