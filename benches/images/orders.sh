#!/bin/sh
# orders.sh OUT: one Gated PixelCNN (16 channels, 4 layers) on Larochelle's binarised MNIST, 3,000 steps of 32 images, one seed, in several
# orders of the pixels. Writes OUT/ORDER.json, nats of the 10,000 test images by the engine, OUT/ORDER.csv, the log of the training, and
# OUT/orders.md.
#   PROGRAM=…   a program that is built already        DATA=data   the folder with images/binarized-mnist       DEVICE=cpu
set -eu
. "$(dirname "$0")/begin.sh"
for order in raster column serpentine spiral random; do
  cat > "$order.toml" <<TOML
[images]
file = "$data/images/binarized-mnist/train-images-idx3-ubyte"
validation = "$data/images/binarized-mnist/valid-images-idx3-ubyte"
pixels = "binary"
order = "$order"

[model]
family = "pixel_cnn"
channels = 16
layers = 4

[train]
steps = 3000
batch = 32
optimizer = "muon"
learning_rate = 5e-3
warmup_steps = 200
ema = 0.999
eval_every = 1000
threads = ${THREADS:-0}
seed = 0
TOML
  "$program" train --device "${DEVICE:-cpu}" "$order.toml"
  "$program" eval -m "runs/$order" --json "$data/images/binarized-mnist/test-images-idx3-ubyte" > "$out/$order.json"
  cp "runs/$order/log.csv" "$out/$order.csv"
done
"$here/benches/images/table.py" "$out" order > "$out/orders.md"
cat "$out/orders.md"
