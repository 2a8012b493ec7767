#!/usr/bin/env python3
"""Time from the microphone to the loudspeaker of `wavesynth play --input mic`, by a private PulseAudio.

    benches/live_latency.py SPEECH.wav [options of play, as in --condition it_carlo --like en_allison]

The recording is played into the left channel of a null sink, and the microphone is a source that hears that channel; the
voice plays into the right one. So one recording of the sink's monitor holds input and output, sample
by sample beside each other. Printed: the lag at which the envelopes of the two agree best, how well they do, and what
the program reports. Wants numpy, pulseaudio, pulseaudio-utils and libasound2-plugins.
"""

import json, os, pathlib, shutil, subprocess, sys, tempfile, time, wave

import numpy as np

RATE = 48_000


def envelope(x, hop=RATE // 1000, width=10):
    """Level in dB every ms, over 10 ms, 50 dB deep."""
    power = np.add.reduceat(x.astype(float) ** 2, np.arange(0, len(x), hop))
    level = 10 * np.log10(np.convolve(power, np.ones(width) / width, "same") + 1e-9)
    return np.maximum(level, level.max() - 50)


def lag(sound_in, sound_out, longest=300):
    """Lag in ms of `sound_out` behind `sound_in`, and the correlation there."""
    n = min(len(sound_in), len(sound_out)) - longest
    corr = [np.corrcoef(sound_in[:n], sound_out[k : k + n])[0, 1] for k in range(longest)]
    return int(np.argmax(corr)), max(corr)


def main(speech, *options):
    exe = pathlib.Path(__file__).resolve().parents[1] / "target/release/wavesynth"
    run = pathlib.Path(tempfile.mkdtemp())
    os.chmod(run, 0o700)
    (run / "asoundrc").write_text("pcm.default { type pulse }\nctl.default { type pulse }\n")
    env = dict(os.environ, XDG_RUNTIME_DIR=str(run), HOME=str(run), PULSE_SERVER=f"unix:{run}/p")
    env.update(ALSA_CONFIG_PATH=str(run / "asoundrc"))
    for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY"):
        env.pop(name, None)
    one = lambda side: f"channels=1 remix=no channel_map={side} master_channel_map={side}"
    modules = [
        f"module-native-protocol-unix auth-anonymous=1 socket={run}/p",
        f"module-null-sink sink_name=air rate={RATE} channels=2 format=float32le norewinds=1",
        f"module-remap-sink sink_name=mouth master=air {one('front-left')}",
        f"module-remap-sink sink_name=loudspeaker master=air {one('front-right')}",
        f"module-remap-source source_name=microphone master=air.monitor {one('front-left')}",
    ]
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=no", "--use-pid-file=no"]
    server = subprocess.Popen(command + [a for m in modules for a in ("-L", m)], env=env, stderr=subprocess.DEVNULL)
    children = [server]
    try:
        while subprocess.run(["pactl", "info"], env=env, capture_output=True).returncode:
            time.sleep(0.05)
        for what, name in (("sink", "loudspeaker"), ("source", "microphone")):
            subprocess.run(["pactl", f"set-default-{what}", name], env=env, check=True)
        raw = run / "air.f32"
        record = ["parec", "-d", "air.monitor", "--raw", "--format=float32le", "--channels=2", f"--rate={RATE}"]
        children.append(subprocess.Popen(record + ["--latency-msec=20"], env=env, stdout=raw.open("wb")))
        with wave.open(speech) as w:
            seconds = w.getnframes() / w.getframerate()
        play = [exe, "play", "--input", "mic", "--json", "--seconds", str(seconds + 6), *options]
        voice = subprocess.Popen(play, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=run)
        children.append(voice)
        time.sleep(3)
        subprocess.run(["paplay", "--device=mouth", "--latency-msec=50", speech], env=env, check=True)
        result = json.loads(voice.communicate()[0])
        time.sleep(0.5)
        air = np.fromfile(raw, "<f4").reshape(-1, 2)
    finally:
        for child in reversed(children):
            child.terminate()
            child.wait()
        shutil.rmtree(run, ignore_errors=True)
    sound_in, sound_out = air.T
    loud = np.flatnonzero(np.abs(sound_in) > 1e-3)
    span = slice(max(loud[0] - RATE // 5, 0), loud[-1] + RATE // 2)
    measured, agreement = lag(envelope(sound_in[span]), envelope(sound_out[span]))
    keys = ["underruns", "frames_held", "frames_skipped", "times_real_time", "live"]
    print(json.dumps({"measured_ms": measured, "correlation": round(agreement, 3)} | {k: result[k] for k in keys}))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
