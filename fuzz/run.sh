#!/bin/sh
# Runs fuzz targets one after another, each for so many seconds of CPU time, from the repository's files as seeds. Wants
# cargo-fuzz and a nightly toolchain. `run_file` and `state` want FEATURES=train.
#   fuzz/run.sh 600 checkpoint tokenizer condition sound npy series
set -eu
seconds=$1
shift
cd "$(dirname "$0")/.."
mkdir -p fuzz/artifacts
seed() {
  folder=fuzz/corpus/$1
  mkdir -p "$folder"
  case $1 in
    checkpoint) cp models/tests/models/golden/*_gru.safetensors models/tests/models/golden/wavenet.safetensors "$folder" ;;
    tokenizer) printf '{"tokenizer":"chars","vocabulary":"\\n Tobe,rnt."}\nTo be, or not to be.\n' > "$folder/chars"
      printf '{"tokenizer":"bytes"}\nTo be' > "$folder/bytes"
      fuzz/seeds/bpe.py > "$folder/bpe" ;;
    condition) cp models/pretrained/speakers/en_allison.bin models/pretrained/tracks/en_greeting.bin "$folder" ;;
    sound) for name in audio/tests/recordings/*; do [ ! -f "$name" ] || cp "$name" "$folder"; done
      fuzz/seeds/wav.py "$folder" ;;
    npy) fuzz/seeds/npy.py "$folder" ;;
    series) printf '1,2\n-3e5,4.5\n\n0,0\n' > "$folder/rows" ;;
    run_file) cp examples/train/*.toml fuzz/seeds/state.toml "$folder" ;;
    state) ;;
  esac
}
triple=$(rustc -vV | sed -n 's/^host: //p')
built=${CARGO_TARGET_DIR:-fuzz/target}/fuzz
for target in "$@"; do
  seed "$target"
  cargo +nightly fuzz build --target-dir "$built" "$target" ${FEATURES:+--features "$FEATURES"}
  # Stopped by the system once its CPU time is up: status 152. Anything else is a finding.
  status=0
  (ulimit -t "$seconds" && exec "$built/$triple/release/$target" "fuzz/corpus/$target" -artifact_prefix="fuzz/artifacts/$target-" \
    -rss_limit_mb=1500 -timeout=60 -max_len=40000 -print_final_stats=1) 2> "fuzz/artifacts/$target.log" || status=$?
  echo "$target: status $status, $(grep -c . "fuzz/artifacts/$target.log") lines in fuzz/artifacts/$target.log, $(tail -1 "fuzz/artifacts/$target.log")"
  [ "$status" = 152 ] || exit 1
done
