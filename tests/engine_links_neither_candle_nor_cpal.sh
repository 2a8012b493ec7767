#!/bin/sh
# What an embedded user links: the models without their trainer, the audio without its devices.
set -eu
engine=$(cargo tree -p wavesynth-models --no-default-features -e normal)
audio=$(cargo tree -p wavesynth-audio --no-default-features -e normal)
case "$engine$audio" in
  *candle*|*cpal*|*gemm*|*rayon*) echo "the engine links what it must not"; exit 1 ;;
esac
case $(cargo tree -p wavesynth-audio --all-features -e normal) in
  *candle*|*wavesynth-models*) echo "wavesynth-audio knows a model"; exit 1 ;;
esac
echo "the engine links neither candle nor cpal"
