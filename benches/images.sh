#!/bin/sh
# images.sh OUT [NAME...]: trains the run files examples/train/images-NAME.toml (without a name all that learn it but those of the VQ-VAE) on Larochelle's
# binarised MNIST and reads the 10,000 test images with each one's best checkpoint, by the engine. Writes OUT/NAME.json (nats
# of an image), OUT/NAME.csv (the log of the training) and OUT/images.md. A run that has begun goes on; one that is at its
# end stays.
#   PROGRAM=…   a program that is built already        DATA=data   the folder with images/binarized-mnist/{train,valid,test}-images-idx3-ubyte
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."
program=${PROGRAM:-target/release/wavesynth}
[ -n "${PROGRAM:-}" ] || cargo build --release
[ $# -gt 0 ] || set -- $(grep -l binarized-mnist/train examples/train/images-*.toml | grep -v vqvae | sed 's|.*/images-\(.*\).toml|\1|')
test=${DATA:-data}/images/binarized-mnist/test-images-idx3-ubyte
for name in "$@"; do
  folder=runs/images-$name
  [ -d "$folder" ] && resume=--resume || resume=
  "$program" train $resume "examples/train/images-$name.toml"
  "$program" eval -m "$folder/best.safetensors" --json "$test" > "$out/$name.json"
  cp "$folder/log.csv" "$out/$name.csv"
done
benches/images/table.py "$out" > "$out/images.md"
cat "$out/images.md"
