#!/bin/bash
# Whether `play` counts the gaps that are heard, under load: it plays through a private PulseAudio while more processes are busy
# than the machine has cores, and its own count stands beside that of a recording.
#
#     benches/gaps.sh OUT [RUNS [SECONDS [PROGRAM]]]
#
# OUT gets report.md and gaps.json. RUNS is 20 unless given, SECONDS 10. Every sample of the recording is looked for in what
# `render` makes: a gap is where the sound goes on later than before. By docs/playing.md, more of a gap within 40 callbacks is
# the same gap, and less than 4 ms is none; the recording's are counted with that rule and without. LATENCY=MS is the ring, 60
# unless given, and BUSY the number of busy processes, twice the number of cores; 0 where the machine is busy anyway. Wants numpy.
set -euo pipefail

out=${1:?usage: benches/gaps.sh OUT [RUNS [SECONDS [PROGRAM]]]}
runs=${2:-20}
seconds=${3:-10}
program=$(realpath "${4:-${CARGO_TARGET_DIR:-target}/release/wavesynth}")
busy=${BUSY:-$((2 * $(nproc)))}
voice=(--condition en_allison --seconds "$seconds")

mkdir -p "$out"
out=$(realpath "$out")
. "$(dirname "$0")/pulse.sh"
pulse_start 16000

busy() {
  for _ in $(seq "$busy"); do
    sh -c 'while :; do :; done' &
    others="$others $!"
  done
}

for i in $(seq "$runs"); do
  "$program" render "${voice[@]}" --seed "$i" --format f32 -o - > "$run/rendered.$i" 2> /dev/null
done
busy
for i in $(seq "$runs"); do
  pulse_record "$run/recorded.$i"
  "$program" play "${voice[@]}" --seed "$i" --latency "${LATENCY:-60}" --json < /dev/null > "$run/played.$i" 2> /dev/null
  pulse_recorded
  echo "$i of $runs" >&2
done
[ -z "$others" ] || kill $others
others=''

PYTHON=$(python3 -c 'import numpy' 2> /dev/null && echo python3 || echo /usr/bin/python3)
"$PYTHON" - "$run" "$out" "$runs" "$seconds" "${LATENCY:-60}" "$(nproc)" "$busy" <<'P'
import json, os, platform, sys
import numpy as np

run, out, runs, seconds, latency, cores, busy = sys.argv[1:]
KEY = 16  # samples by which a place is known again
RATE = 16000


def gaps(got, want):
    """Places and lengths of the gaps in `got`, in samples, and samples of `want` that are missing from it."""
    places = {}
    for j in range(len(want) - KEY):
        window = want[j : j + KEY]
        if np.ptp(window) > 0:
            places.setdefault(window.tobytes(), []).append(j)
    # Behind its rise the first sound is at its place.
    i = int(np.flatnonzero(got)[0])
    found, lost, j, late = [], 0, 0, None
    while i + KEY < len(got) and j + KEY < len(want):
        if late is not None and got[i] == want[j]:
            i, j = i + 1, j + 1
            continue
        start = i
        while i + KEY < len(got):
            hits = [p for p in places.get(got[i : i + KEY].tobytes(), []) if p >= j]
            if hits:
                break
            i += 1
        else:
            break
        if late is not None and i - hits[0] > late:
            found.append((i, i - hits[0] - late))
        elif late is not None and i - hits[0] < late:
            lost += late - (i - hits[0])
        j, late = hits[0], i - hits[0]
    return found, lost


def by_the_rule(found):
    """How many gaps these are where more within 40 callbacks is the same one, and less than 4 ms is none."""
    groups, last = [], None
    for place, length in found:
        if last is not None and place - last < 40 * RATE * float(latency) / 3000:
            groups[-1] += length
        else:
            groups.append(length)
        last = place
    return sum(g >= 0.004 * RATE for g in groups)


rows = []
for i in range(1, int(runs) + 1):
    played = json.load(open(f"{run}/played.{i}"))
    got = np.fromfile(f"{run}/recorded.{i}", "<f4")
    heard, lost = gaps(got, np.fromfile(f"{run}/rendered.{i}", "<f4"))
    rows.append(
        dict(
            run=i, counted=played["underruns"], device=played["device_xruns"], missing=played["missing_samples"],
            heard=len(heard), by_the_rule=by_the_rule(heard), heard_samples=sum(n for _, n in heard), lost=lost, gaps=heard,
        )
    )
json.dump(rows, open(f"{out}/gaps.json", "w"))
cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
total = {key: sum(r[key] for r in rows) for key in ("counted", "device", "missing", "heard", "by_the_rule", "heard_samples", "lost")}
equal = sum(r["counted"] == r["by_the_rule"] for r in rows)
text = f"""# Gaps counted and heard, under load

`benches/gaps.sh`: {runs} runs of {seconds} s, `--latency {latency}`, {cores} cores, {busy} busy processes of its own, load average {os.getloadavg()[1]:.0f}; {cpu}.
Equal in {equal} of {runs} runs.

| run | counted | of them the device's own | heard in the recording, by the rule | any at all | missing samples counted | heard | samples of the voice that were lost |
|---|---|---|---|---|---|---|---|
"""
line = "| {} | {counted} | {device} | {by_the_rule} | {heard} | {missing} | {heard_samples} | {lost} |\n"
text += "".join(line.format(r["run"], **{k: v for k, v in r.items() if k != "run"}) for r in rows)
text += line.format("all", **total)
open(f"{out}/report.md", "w").write(text)
print(text)
P
