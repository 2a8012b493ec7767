# Sourced by the benches that listen to `play`: a private PulseAudio with a null sink stands in for a sound card, as in
# tests/play_device.rs, and what it plays can be recorded. Wants pulseaudio, pulseaudio-utils and libasound2-plugins.
#
#   pulse_start RATE       starts it and points the programs that are started from here on at it; $run is a folder for it
#   pulse_record FILE      records 32-bit floats, one channel, from now on
#   pulse_recorded         ends the recording
#
# All of it ends with the script, and so does what is listed in $others, process ids.

others=''
recorder=''

pulse_start() {
  rate=$1
  run=$(mktemp -d)
  export XDG_RUNTIME_DIR=$run HOME=$run PULSE_SERVER=unix:$run/p ALSA_CONFIG_PATH=$run/asoundrc
  unset DBUS_SESSION_BUS_ADDRESS DISPLAY
  chmod 700 "$run"
  printf 'pcm.default { type pulse }\nctl.default { type pulse }\n' > "$run/asoundrc"
  pulseaudio -n --daemonize=no --exit-idle-time=-1 --disable-shm=no --use-pid-file=no \
    -L "module-native-protocol-unix auth-anonymous=1 socket=$run/p" \
    -L "module-null-sink sink_name=rig rate=$rate channels=1 format=float32le norewinds=1" 2> "$run/log" &
  server=$!
  trap 'kill $others $recorder $server 2> /dev/null || true; rm -rf "$run"' EXIT
  for _ in $(seq 400); do pactl info > /dev/null 2>&1 && return; sleep 0.05; done
  echo "pulseaudio does not answer" >&2
  exit 1
}

pulse_record() {
  parec -d rig.monitor --raw --format=float32le --channels=1 --latency-msec=20 --rate="$rate" > "$1" 2> /dev/null &
  recorder=$!
  sleep 0.5
}

pulse_recorded() {
  sleep 1
  kill -INT "$recorder"
  wait "$recorder" 2> /dev/null || true
  recorder=''
}
