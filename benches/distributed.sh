#!/bin/sh
# What a second process brings, in training, in rendering a list, and what the sum of a gradient between them costs: the
# raw results of docs/distributed.md. Wants two idle cores and a program built with the feature `mpi`.
#   benches/distributed.sh RUN.toml OUT     RUN.toml says steps, batch, threads and out where it sets them at all
set -eu
run=$1 out=$2
wavesynth=${WAVESYNTH:-target/release/wavesynth}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

# NAME BATCH THREADS STEPS LAUNCHER...: seconds and samples of each step go to OUT/train-NAME.csv.
train() {
  name=$1 batch=$2 threads=$3 steps=$4
  shift 4
  sed -E '/^(batch|threads|out|log_every|eval_every|eval_seconds) *=/d' "$run" |
    sed "s|^\[train\]|&\nbatch = $batch\nthreads = $threads\nout = \"$work/$name\"\nlog_every = 1\neval_every = 1000000\neval_seconds = 1|" \
    > "$work/$name.toml"
  "$@" "$wavesynth" train "$work/$name.toml" --stop-after "$steps"
  cp "$work/$name/log.csv" "$out/train-$name.csv"
}
train 1-process-1-thread-batch-8 8 1 25 taskset -c 0
train 1-process-2-threads-batch-8 8 2 30
train 2-ranks-1-thread-batch-4 4 1 30 mpirun -n 2 --bind-to core
train 2-ranks-1-thread-batch-8 8 1 16 mpirun -n 2 --bind-to core

values=1000,10000,100000,250000,1000000,10000000
mpirun -n 2 --bind-to core "$wavesynth" bench allreduce --values $values --json > "$out/allreduce-shared-memory.json"
mpirun -n 2 --bind-to core --mca pml ob1 --mca btl self,tcp "$wavesynth" bench allreduce --values $values --json \
  > "$out/allreduce-tcp-loopback.json"

for seed in 1 2 3 4; do
  for name in en_allison it_carlo; do
    printf '%s\t-\t%s\t%s\t5\n' "$name" "$seed" "$work/$name-$seed.wav"
  done
done > "$work/list.tsv"
jobs() {
  name=$1
  shift
  rm -f "$work"/*.wav
  "$@" "$wavesynth" render --jobs "$work/list.tsv" --json > "$out/jobs-$name.json"
}
jobs 1-process-1-thread taskset -c 0
jobs 1-process-2-threads env
jobs 2-ranks mpirun -n 2 --bind-to core
