#!/bin/sh
# Makes the recordings in this folder: a fifth of a second of 440 Hz at half of full scale, in each format. Wants ffmpeg.
set -e
cd "$(dirname "$0")"
make() { # file, and ffmpeg's options
    file=$1; shift
    ffmpeg -v error -y -bitexact -f lavfi -i "aevalsrc=0.5*sin(2*PI*440*t):s=16000:d=0.2" -map_metadata -1 "$@" -bitexact "$file"
}
make tone.flac -sample_fmt s16
make tone.ogg -c:a libvorbis -q:a 2
make tone.mp3 -c:a libmp3lame -b:a 32k
make tone.m4a -c:a aac -b:a 32k
make tone.aac -c:a aac -b:a 32k
make lossless.m4a -c:a alac -sample_fmt s16p
make tone.aiff
make tone.caf
make alaw.wav -c:a pcm_alaw
make mulaw.wav -c:a pcm_mulaw
make adpcm.wav -c:a adpcm_ima_wav
make rf64.wav -rf64 always
make tone.opus -c:a libopus -b:a 16k
