#!/bin/sh
# Runs fuzz targets one after another, each for so many seconds of CPU time, from the repository's files as seeds. Wants
# cargo-fuzz and a nightly toolchain. `run_file` and `state` want FEATURES=train. `sound-FORMAT` is `sound` with the seeds of
# one format: wav, flac, ogg, mp3, aac, m4a, aiff or caf.
#   fuzz/run.sh 600 checkpoint tokenizer condition sound npy series jobs images utterances
#   FEATURES=train fuzz/run.sh 600 run_file state
set -eu
seconds=$1
shift
cd "$(dirname "$0")/.."
mkdir -p fuzz/artifacts
# Targets that read files write one for every input: not on a disk, which would be most of the time.
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
seed() {
  folder=fuzz/corpus/$1
  mkdir -p "$folder"
  golden=models/tests/models/golden
  case $1 in
    # Files without a checksum, behind which nothing would be reached.
    checkpoint) for name in char_rnn_gru char_rnn_lstm gpt wavenet; do cp "$golden/$name.safetensors" "$folder"; done ;;
    tokenizer) printf '{"tokenizer":"chars","vocabulary":"\\n Tobe,rnt."}\nTo be, or not to be.\n' > "$folder/chars"
      printf '{"tokenizer":"bytes"}\nTo be' > "$folder/bytes"
      fuzz/seeds/bpe.py > "$folder/bpe" ;;
    condition) cp models/pretrained/speakers/en_allison.bin models/pretrained/tracks/en_greeting.bin "$folder" ;;
    sound | sound-*) format=${1#sound}
      for name in audio/tests/recordings/*"${format#-}"; do
        case $name in *.sh) ;; *) cp "$name" "$folder" ;; esac
      done
      case $format in '' | -wav) fuzz/seeds/wav.py "$folder" ;; esac ;;
    npy) fuzz/seeds/npy.py "$folder" ;;
    images) printf '\000\000\010\003\000\000\000\002\000\000\000\002\000\000\000\002abcdefgh' > "$folder/idx"
      gzip -c "$folder/idx" > "$folder/idx.gz"
      cp docs/spiral.png "$folder" ;;
    series) printf '1,2\n-3e5,4.5\n\n0,0\n' > "$folder/rows" ;;
    jobs) printf 'condition\ttrack\tseed\toutput\tseconds\nann.bin\ttrack.bin\t1\ta.wav\t0.01\n# no job\n-\t-\t2\tb/c.wav\n' > "$folder/list" ;;
    utterances) for text in '2Dr. Smith paid $5.20 on 2026-11-27 at 7:30 p.m., e.g. for A4 paper (23rd).' '3В 1984 году США и НАТО. з+амок, 5 ₽!' \
        '4¿Cuánto es 3,5 kg? 20 °C.' '0Vada a www.example.it/a, 10-20 minuti...' "1L'homme a dit: <b>non</b> &nbsp; à 8 h."; do
        printf %s "$text" > "$folder/$(printf %.1s "$text")"
      done ;;
    run_file) cp examples/train/*.toml fuzz/seeds/state.toml "$folder" ;;
    state) WAVESYNTH_FUZZ_SEED=$folder/written.tmp "$2" -runs=1 > fuzz/artifacts/seed.log 2>&1
      fuzz/seeds/without_checksum.py "$folder/written.tmp" "$folder/state" ;;
  esac
}
triple=$(rustc -vV | sed -n 's/^host: //p')
built=${CARGO_TARGET_DIR:-fuzz/target}/fuzz
for target in "$@"; do
  name=${target%%-*}
  cargo +nightly fuzz build --target-dir "$built" "$name" ${FEATURES:+--features "$FEATURES"}
  program=$built/$triple/release/$name
  seed "$target" "$program"
  log=fuzz/artifacts/$target.log
  "$program" "fuzz/corpus/$target" -artifact_prefix="fuzz/artifacts/$target-" -rss_limit_mb=1500 -timeout=60 -max_len=40000 \
    -print_final_stats=1 > "$log" 2>&1 &
  used=0
  while now=$(ps -o cputimes= -p $!); do
    used=$((now))
    # It ends with its statistics and status 72 then. Anything else is a finding.
    [ "$used" -lt "$seconds" ] || kill -TERM $! 2> /dev/null || break
    sleep 1
  done
  status=0
  wait $! || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "$target: status $status, $used s of CPU time, ${runs:-no} runs; $log"
  [ "$status" = 72 ] || exit 1
done
