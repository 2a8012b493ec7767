#!/bin/sh
# cuda.sh PROGRAM OUT TEXT SPEECH: training on an NVIDIA GPU beside training on the processor, with the same run files.
#
# Every family is trained for STEPS (40) steps three times: by the plain graph on the processor, by the plain graph on the
# GPU and by the fused layers. OUT/cuda.csv gets, for each, the largest difference of a step's loss and gradient norm to
# the first, relative to it, and the held-out figures. Exit status 1: one on the GPU is further than LIMIT (1e-3) off.
# Then OUT/speed.csv: rows a second of larger networks, by the fused layers on all cores and on the GPU.
#
# PROGRAM was built with `--features cuda`; TEXT is a text file, SPEECH a folder with one folder of WAV files per speaker.
set -eu
program=$(realpath "$1") out=$2 text=$(realpath "$3") speech=$(realpath "$4")
steps=${STEPS:-40} limit=${LIMIT:-1e-3}
mkdir -p "$out"; out=$(realpath "$out")
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
awk 'BEGIN { srand(1); for (s = 0; s < 60; s++) { d = rand() * 6.2832; for (t = 0; t < 60; t++) {
  a = d + 0.2 * t; r = 0.1 + 0.015 * t; print r * cos(a) ", " r * sin(a) } print "" } }' > spiral.csv

# run NAME CORPUS MODEL TRAIN: the run file NAME.toml.
run() { printf '%s\n[model]\n%s\n[train]\nlog_every = 1\nseed = 5\n%s\n' "$2" "$3" "$4" > "$1.toml"; }
# train NAME FORM OPTION...: a run by one form; its log goes to OUT.
train() {
  name=$1 form=$2; shift 2
  engine=graph; [ "$form" = fused ] && engine=fused
  sed "s|^\[train\]|[train]\nengine = \"$engine\"\nout = \"$name-$form\"|" "$name.toml" > "$name-$form.toml"
  "$program" train "$name-$form.toml" "$@" > "$out/$name-$form.txt" 2>&1 || { tail -3 "$out/$name-$form.txt"; return 1; }
  cp "$name-$form/log.csv" "$out/$name-$form.csv"
}

characters="[text]
file = \"$text\"
eval_symbols = 4000"
voice="[corpus]
root = \"$speech\""
points="[series]
file = \"spiral.csv\"
components = 5"
learn="steps = $steps
learning_rate = 5e-3
warmup_steps = 4
eval_every = $steps
batch = 8"
wavenet='residual_channels = 24
skip_channels = 32
dilations = { cycle = 6, layers = 12 }
speaker_dim = 8
hidden = 24'
for cell in lstm gru; do
  run $cell "$characters" "family = \"char_rnn\"
cell = \"$cell\"
hidden = 64
layers = 2" "$learn
window = 50"
done
run cnn "$characters" 'family = "wavenet"
residual_channels = 32
skip_channels = 32
dilations = { cycle = 5, layers = 5 }' "$learn
window = 128"
gpt='family = "gpt"
layers = 3
heads = 4
width = 64'
run gpt "$characters" "$gpt" "$learn
window = 64"
run muon "$characters" "$gpt" "$learn
window = 64
optimizer = \"muon\""
run gaussians "$points" 'family = "char_rnn"
cell = "lstm"
hidden = 48
layers = 1' "$learn
window = 48"
run voice "$voice" "$wavenet" "$learn
window = 1600
eval_seconds = 4.0"
run bunches "$voice" "$wavenet
bunch = 2" "$learn
window = 1600
eval_seconds = 4.0"
run logistics "[audio]
bits = 16
$voice" "$wavenet" "$(echo "$learn" | sed 's/5e-3/1e-3/')
window = 1600
eval_seconds = 4.0"

echo 'run,form,steps,loss_difference,gradient_difference,first_loss,last_loss,held_out_nats' > "$out/cuda.csv"
for name in ${RUNS:-lstm gru cnn gpt muon gaussians voice bunches logistics}; do
  train "$name" processor
  train "$name" gpu --device cuda
  train "$name" fused
  for form in processor gpu fused; do
    paste -d, "$out/$name-processor.csv" "$out/$name-$form.csv" | awk -F, -v run="$name" -v form="$form" '
      function far(a, b) { d = (a - b) / a; return d < 0 ? -d : d }
      NR == 1 { n = NF / 2; next }
      NR == 2 { first = $(n + 4) }
      { l = far($4, $(n + 4)); g = far($6, $(n + 6)); if (l > loss) loss = l; if (g > norm) norm = g
        last = $(n + 4); steps++; if ($(n + 8) != "") held = $(n + 8) }
      END { printf "%s,%s,%d,%.2e,%.2e,%s,%s,%s\n", run, form, steps, loss, norm, first, last, held }' >> "$out/cuda.csv"
  done
done
cat "$out/cuda.csv"

steps=12
large="steps = $steps
eval_every = $steps"
run large-voice "$voice" 'residual_channels = 64
skip_channels = 64
head_channels = 128
dilations = { cycle = 10, layers = 30 }
speaker_dim = 16
hidden = 96' "$large
window = 8000
max_warmup = 2048
eval_seconds = 1.0
batch = 16"
run large-gpt "$characters" 'family = "gpt"
layers = 6
heads = 6
width = 384' "$large
window = 256
batch = 64"
echo 'run,form,cores,rows_per_s' > "$out/speed.csv"
for name in ${LARGE:-large-voice large-gpt}; do
  train "$name" fused
  train "$name" gpu --device cuda
  for form in fused gpu; do
    # The first steps warm up.
    awk -F, -v run="$name" -v form="$form" -v cores="$(nproc)" '
      NR == 6 { t = $2; n = $3 } END { printf "%s,%s,%d,%.0f\n", run, form, cores, ($3 - n) / ($2 - t) }' \
      "$out/$name-$form.csv" >> "$out/speed.csv"
  done
done
cat "$out/speed.csv"
awk -F, -v limit="$limit" '$2 == "gpu" && $4 > limit { print $1 " on the GPU: a loss is " $4 " off the processor'"'"'s"; bad = 1 }
  END { exit bad }' "$out/cuda.csv"
