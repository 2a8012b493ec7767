#!/usr/bin/env python3
"""The server of text to speech under Home Assistant itself.

    pip install homeassistant==2024.3.3 "josepy<2"      # the last one for Python 3.11
    tests/serve/home_assistant.py WAVESYNTH

A new Home Assistant gets its first user, adds the integration "Wyoming Protocol" as its page does, and has sentences said. Wants ffmpeg, which
makes MP3 of them, and PyPI, from which Home Assistant loads what the integration needs. Not a part of `make test`.
"""

import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import wave
from array import array
from pathlib import Path

from server import Serving

PORT = 8123
URL = f"http://127.0.0.1:{PORT}"
CONFIGURATION = f"""
homeassistant: {{name: Test, latitude: 52, longitude: 13, elevation: 30, unit_system: metric, time_zone: UTC}}
http: {{server_host: 127.0.0.1, server_port: {PORT}}}
api:
config:
onboarding:
media_source:
tts:
logger: {{default: warning}}
"""
SENTENCES = [  # language, options, text
    ("en", {}, "Hello, the light in the kitchen is on."),
    ("ru", {}, "Свет на кухне включён."),
    ("it", {"voice": "it_carlo"}, "La luce della cucina è accesa."),
    ("fr", {"voice": "fr_june"}, "La porte est ouverte."),
]
MOST_WAIT_S = 300


def ask(path, body=None, token=None, form=False):
    """What Home Assistant answers, JSON as a tree."""
    head = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
    if token:
        head["Authorization"] = f"Bearer {token}"
    if body is not None:
        body = (urllib.parse.urlencode(body) if form else json.dumps(body)).encode()
    with urllib.request.urlopen(urllib.request.Request(URL + path, body, head), timeout=120) as answer:
        content = answer.read()
        return json.loads(content) if "json" in answer.headers["Content-Type"] else content


def wait(what):
    """The first answer that is not empty."""
    end = time.monotonic() + MOST_WAIT_S
    while time.monotonic() < end:
        try:
            found = what()
            if found:
                return found
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(1)
    raise SystemExit(f"waited for {MOST_WAIT_S} s")


def log_in():
    wait(lambda: ask("/api/onboarding"))
    me = {"client_id": URL + "/", "name": "tester", "username": "tester", "password": "secret", "language": "en"}
    code = ask("/api/onboarding/users", me)["auth_code"]
    return ask("/auth/token", {"grant_type": "authorization_code", "code": code, "client_id": URL + "/"}, form=True)["access_token"]


def add(token, port):
    """The name of the speech that the integration brings."""
    flow = ask("/api/config/config_entries/flow", {"handler": "wyoming"}, token)
    entry = ask(f"/api/config/config_entries/flow/{flow['flow_id']}", {"host": "127.0.0.1", "port": port}, token)
    assert entry["type"] == "create_entry", entry
    return wait(lambda: [s["entity_id"] for s in ask("/api/states", None, token) if s["entity_id"].startswith("tts.")])[0]


def say(token, engine, language, options, text):
    options |= {"preferred_format": "wav"}
    where = ask("/api/tts_get_url", {"engine_id": engine, "message": text, "language": language, "options": options}, token)
    with wave.open(io.BytesIO(ask(where["path"], None, token))) as sound:
        x = array("h", sound.readframes(1 << 30))
        seconds = len(x) / sound.getnchannels() / sound.getframerate()
    level = max(map(abs, x)) / 32768
    assert 0.5 < seconds < 8 and 0.1 < level, (seconds, level)
    print(f"ok: {language}, {seconds:.2f} s, peak {level:.2f}: {text}", flush=True)


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    hass = shutil.which("hass", path=str(Path(sys.executable).parent)) or "hass"
    with tempfile.TemporaryDirectory() as folder, Serving(sys.argv[1]) as serving:
        Path(folder, "configuration.yaml").write_text(CONFIGURATION)
        home = subprocess.Popen([hass, "-c", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            token = log_in()
            engine = add(token, serving.wyoming)
            for sentence in SENTENCES:
                say(token, engine, *sentence)
        finally:
            home.terminate()
            home.wait(60)


if __name__ == "__main__":
    main()
