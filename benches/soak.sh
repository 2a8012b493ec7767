#!/bin/bash
# Half an hour of `play` at its default settings: underruns, resident size once a second, and whether the sound is what
# `render` makes. Without a sound card a private PulseAudio with a null sink is the device, as in tests/play_device.rs.
#
#     benches/soak.sh OUT [SECONDS [PROGRAM]]
#
# OUT gets played.json (play's own report), rss.csv, recorded.f32, and report.md. SECONDS is 1800 unless given. Fails when
# there is an underrun, when the resident size grows by more than 1 MB after the first minute, or when the sound differs.
set -euo pipefail

out=${1:?usage: benches/soak.sh OUT [SECONDS [PROGRAM]]}
seconds=${2:-1800}
program=$(realpath "${3:-${CARGO_TARGET_DIR:-target}/release/wavesynth}")
voice=(--condition en_allison --seconds "$seconds" --seed 7)

mkdir -p "$out"
out=$(realpath "$out")
. "$(dirname "$0")/pulse.sh"
pulse_start 16000
pulse_record "$out/recorded.f32"

"$program" play "${voice[@]}" --json < /dev/null > "$out/played.json" 2> "$out/play.log" & player=$!
{
  echo seconds,rss_kb
  start=$SECONDS
  while true; do
    kb=$(awk '/^VmRSS/ { print $2 }' /proc/$player/status 2> /dev/null) && [ -n "$kb" ] || break
    echo "$((SECONDS - start)),$kb"
    sleep 1
  done
} > "$out/rss.csv" & others=$!
wait $player
pulse_recorded

"$program" render "${voice[@]}" --format f32 -o - > "$run/rendered.f32" 2> /dev/null
PYTHON=$(python3 -c 'import numpy' 2> /dev/null && echo python3 || echo /usr/bin/python3)
"$PYTHON" - "$out" "$run/rendered.f32" "$seconds" <<'P'
import json, platform, sys
import numpy as np

out, rendered, seconds = sys.argv[1:]
played = json.load(open(f"{out}/played.json"))
rss = np.loadtxt(f"{out}/rss.csv", delimiter=",", skiprows=1)
want = np.fromfile(rendered, "<f4")
got = np.fromfile(f"{out}/recorded.f32", "<f4")
first = lambda x: int(np.flatnonzero(x)[0])
want, got = want[first(want):], got[first(got):]
n = min(len(want), len(got))
differ = int((np.abs(got[:n] - want[:n]) > 1e-6).sum()) + len(want) - n
steady = rss[rss[:, 0] >= min(60, len(rss) / 2), 1]
grown = (steady.max() - steady[0]) / 1024
cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
rows = [
    ("processor", cpu),
    ("seconds", f"{played['seconds']:.1f} of {seconds}"),
    ("underruns (the device's own among them)", f"{played['underruns']} ({played['device_xruns']})"),
    ("missing samples", played["missing_samples"]),
    ("times that the device was opened again", played["reopened"]),
    ("samples that are not what `render` makes", f"{differ} of {len(want)}"),
    ("resident size after the first minute, at most, growth", f"{steady[0] / 1024:.1f}, {steady.max() / 1024:.1f}, {grown:.1f} MB"),
    ("engine, times real time", f"{played['times_real_time']:.2f}"),
    ("slowest block of 4 ms", f"{played['block_us']['max'] / 1000:.2f} ms"),
    ("ring and device", f"{played['latency_ms']:.0f} ms"),
    ("real-time priority of engine, device's thread", f"{played['realtime_priority']}, {played['realtime_callback']}"),
]
text = "# A soak of `play`\n\n`benches/soak.sh`\n\n| what | figure |\n|---|---|\n" + "".join(f"| {a} | {b} |\n" for a, b in rows)
open(f"{out}/report.md", "w").write(text)
print(text)
if played["underruns"] or differ or grown > 1:
    sys.exit("soak: failed")
P
rm "$out/recorded.f32"
