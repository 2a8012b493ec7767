#!/bin/sh
# What is linked, by `cargo tree`: each feature brings its crates, and no build without it links one of them.
set -eu
cd "$(dirname "$0")/.."

# The crates that `wavesynth` or another package links with the features given, one a line.
links() {
  cargo tree -p "$1" --no-default-features --features "$2" -e normal --prefix none | cut -d ' ' -f 1 | sort -u
}

fail() {
  echo "$1" >&2
  exit 1
}

# `wants FEATURES LINKED OWNERS CRATE...`: the crates are linked if FEATURES has one of OWNERS, and only then.
wants() {
  features=$1 linked=$2 owners=$3
  shift 3
  want=no
  for owner in $owners; do
    case ",$features," in *",$owner,"*) want=yes ;; esac
  done
  for crate; do
    is=no
    if echo "$linked" | grep -qx "$crate"; then is=yes; fi
    [ $is = $want ] || fail "with the features '$features': $crate linked: $is, wanted: $want (it belongs to: $owners)"
  done
}

for cli in '' cli; do
  for train in '' train; do
    for device in '' device; do
      features=$(echo "$cli,$train,$device" | sed 's/,,*/,/g; s/^,//; s/,$//')
      linked=$(links wavesynth "$features")
      wants "$features" "$linked" cli clap clap_builder clap_complete clap_mangen colorous cpu-time crossterm indicatif signal-hook npyz plotters
      wants "$features" "$linked" train candle-core candle-nn gemm tokenizers toml
      wants "$features" "$linked" device alsa cpal thread-priority
      wants "$features" "$linked" 'cli train' png rayon sha2
    done
  done
done

engine=$(links wavesynth-models '')
wants '' "$engine" train candle-core candle-nn gemm rayon tokenizers
audio=$(links wavesynth-audio device)
wants device "$audio" device alsa cpal
wants device "$audio" train candle-core wavesynth-models
echo "each feature links its own crates, in all eight builds"
