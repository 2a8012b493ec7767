#!/bin/sh
# voice.sh CORPUS RUN [STEP...]: measures a voice on recordings outside its training and writes the tables of docs/voice.md, docs/live.md
# and the voice's card.
#
#   pip install -r benches/voice/requirements.txt; apt-get install ffmpeg; cargo build --release
#   examples/train/fetch-speech.sh data/speech
#   benches/voice/voice.sh data/speech benches/runs/RUN
#
# Steps, all of them by default:
#   peers     other systems on the same recordings; no voice is asked, so results that are there are kept
#   copies    the voice on them: nats teacher-forced and copies, with f32, f16 and i8 weights, and without the post-filter
#   words     English words that a recogniser gets wrong, over many seeds
#   speakers  swapped and mixed speaker vectors
#   live      live speaker conversion
#   enroll    unseen speakers, where CORPUS has them (cs_small, cs_big)
#   likeness  speaker conversion by --likeness: words against voice
#   silence   silence and pauses
#   tables    the tables of the three pages and the picture of docs/voice.md
# and two that are not: sampling, six recordings of each speaker, sampled in several ways; shapes, short runs of networks of
# several shapes, with other inputs (shapes.py; an hour and more on two cores).
# Figures go to RUN/voice, sounds to RUN/copies (not for committing). MODEL=FILE measures another checkpoint than the
# shipped one, WAVESYNTH=FILE uses another program, PYTHON=FILE another interpreter; SAMPLING="--temperature 0.8" samples
# otherwise.
set -eu
[ $# -ge 2 ] || { sed -n '2,22p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
corpus=$(cd "$1" && pwd)
mkdir -p "$2/voice" "$2/copies"
run=$(cd "$2" && pwd)
shift 2
[ $# -gt 0 ] || set -- peers copies words speakers live enroll likeness silence tables
out=$run/voice copies=$run/copies
model=${MODEL:-$root/models/pretrained/voice.safetensors}
program=${WAVESYNTH:-$root/target/release/wavesynth}
python=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1
speakers="en_allison es_allison fr_june it_carlo ru_ivrvoice ru_nsh"

# NAME: the figures of COPIES/NAME.
measure() {
  "$python" "$here/measure.py" "$corpus" "$copies/$1" -o "$out/$1.json"
}

# SCRIPT: a script about the voice, whose figures are SCRIPT.json.
ask() {
  "$python" "$here/$1.py" "$corpus" "$program" "$model" "$copies" "$out/$1.json"
}

peers() {
  "$python" "$here/peers.py" "$corpus" "$copies"
  for system in mulaw griffin-lim griffin-lim-f0 world codec2 opus; do
    [ -s "$out/$system.json" ] || measure "$system"
  done
  # The originals as copies of themselves: what the recogniser makes of them, and how noisy they are.
  [ -s "$out/original.json" ] || "$python" "$here/measure.py" "$corpus" "$corpus" -o "$out/original.json"
}

copies() {
  "$program" condition export -m "$model" --all -o "$copies/speakers"
  for dtype in f32 f16 i8; do
    for speaker in $speakers; do
      files=$(held_out "$speaker")
      # shellcheck disable=SC2086
      "$program" eval -m "$model" --dtype "$dtype" -c "$copies/speakers/$speaker.bin" $files --json \
        > "$out/eval-$dtype-$speaker.tmp"
      # Names without this machine's paths.
      sed "s|$corpus/||g" "$out/eval-$dtype-$speaker.tmp" > "$out/eval-$dtype-$speaker.json"
      rm "$out/eval-$dtype-$speaker.tmp"
    done
    copied "$dtype" --dtype "$dtype"
  done
  copied i8-unfiltered --dtype i8 --no-post-filter
}

# SPEAKER: his held-out recordings. File names of this corpus hold no spaces.
held_out() {
  awk -F'\t' -v s="$corpus/$1" '$3 == "test" { print s "/" $1 ".wav" }' "$corpus/$1/transcripts.tsv"
}

# NAME OPTION...: all held-out recordings copied and measured.
copied() {
  name=$1
  shift
  mkdir -p "$copies/$name"
  for speaker in $speakers; do
    # shellcheck disable=SC2046,SC2086
    "$program" copy -m "$model" -c "$copies/speakers/$speaker.bin" $(held_out "$speaker") -o "$copies/$name/$speaker" \
      "$@" ${SAMPLING:-} --json > "$copies/$name/$speaker.json"
  done
  measure "$name"
  "$python" "$here/agree.py" "$out/$name.json" "$copies/$name"/*.json
}

# NAME OPTION...: six held-out recordings of each speaker, sampled with the options by i8 weights.
sampled() {
  name=sampling-$1
  shift
  for speaker in $speakers; do
    files=$(awk -F'\t' -v s="$corpus/$speaker" '$3 == "test" && $2 > 1.5 && $2 < 9 && n < 6 { n++; print s "/" $1 ".wav" }' \
      "$corpus/$speaker/transcripts.tsv")
    # shellcheck disable=SC2086
    "$program" copy -m "$model" --dtype i8 -c "$copies/speakers/$speaker.bin" $files -o "$copies/$name/$speaker" "$@" --json > /dev/null
  done
  measure "$name"
}

sampling() {
  "$program" condition export -m "$model" --all -o "$copies/speakers"
  for t in 1.0 0.9 0.8 0.7; do
    sampled "temperature-$t" --temperature "$t"
  done
  sampled temperature-0.9-sharpen-0.45 --temperature 0.9 --sharpen 0.45
  sampled top-p-0.95 --temperature 1 --top-p 0.95
  for p in 0.05 0.1 0.15 0.2; do
    sampled "min-p-$p" --temperature 1 --min-p "$p"
  done
}

enroll() {
  if [ -d "$corpus/cs_small" ] && [ -d "$corpus/cs_big" ]; then
    ask enrolling
  else
    echo "no cs_small and cs_big in $corpus: enrolling is left out" >&2
  fi
}

for step; do
  case $step in
    peers) peers ;;
    copies) copies ;;
    words) ask words ;;
    speakers) ask speakers ;;
    live) ask live ;;
    enroll) enroll ;;
    likeness) ask likeness ;;
    silence) ask silence ;;
    sampling) sampling ;;
    shapes) "$python" "$here/shapes.py" "$corpus" "$program" "$copies/shapes" "$out/shapes.json" ;;
    tables)
      "$python" "$here/picture.py" "$corpus" "$copies" "$root/docs/voice.png"
      for page in docs/voice docs/live models/pretrained/voice; do "$python" "$here/tables.py" "$out" "$root/$page.md"; done
      ;;
    *) echo "$step: no such step" >&2; exit 2 ;;
  esac
done
