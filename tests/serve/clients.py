#!/usr/bin/env python3
"""The server of text to speech under clients that others have written.

    tests/serve/clients.py WAVESYNTH [SCREENSHOT.png]

Further options of the server go into SERVE_OPTIONS. Wants curl, Chromium, and Python with the packages openai, wyoming and playwright. Not a part of `make test`.
"""

import asyncio
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import wave
from concurrent.futures import ThreadPoolExecutor

import openai
from playwright.sync_api import sync_playwright
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from server import Serving
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

PROGRAM = sys.argv[1]
SCREENSHOT = sys.argv[2] if len(sys.argv) > 2 else None
TEXT = "Hello, my name is Allison."
OTHER = "It is 9:30, and I am still talking."
LONG = "One, two, three, four, five, six, seven, eight, nine, ten. " * 8
VOICE = "en_allison"


def check(name):
    print(f"ok: {name}", flush=True)


def with_curl(s):
    def curl(*args):
        return subprocess.run(["curl", "-sS", *args], check=True, capture_output=True).stdout

    body = '{"model": "tts-1", "voice": "%s", "input": "%s"}' % (VOICE, TEXT)
    speech = ["-H", "Content-Type: application/json", "-d", body, s.url + "/v1/audio/speech"]
    whole = curl(*speech)
    with wave.open(io.BytesIO(whole)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16000, 1, 2)
    # The header of a stream does not know how long it is.
    seconds = (len(whole) - 44) / 32000
    assert seconds > 1
    assert b"404" in curl("-I", s.url + "/nowhere")
    assert curl("--http1.0", s.url + "/health").startswith(b'{"status":"ok"')
    check(f"curl: {seconds:.2f} s of WAV")


def with_openai(s):
    client = openai.OpenAI(base_url=s.url + "/v1", api_key="none", max_retries=0)
    assert [m.id for m in client.models.list()] == ["wavesynth"]
    whole = client.audio.speech.create(model="tts-1", voice=VOICE, input=TEXT, response_format="pcm").content
    pieces = []
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice=VOICE, input=TEXT, response_format="pcm", instructions="Cheerfully."
    ) as response:
        pieces.extend(response.iter_bytes(4096))
    assert b"".join(pieces) == whole and len(pieces) > 3
    for wrong in [{"response_format": "mp3"}, {"voice": "alloy"}, {"speed": 4.5}, {"input": ""}]:
        try:
            client.audio.speech.create(**{"model": "tts-1", "voice": VOICE, "input": TEXT} | wrong)
        except openai.BadRequestError as e:
            assert e.body["message"], e
        else:
            raise AssertionError(wrong)
    check(f"openai: {len(whole) / 48000:.2f} s of pcm in {len(pieces)} pieces; wrong requests are told apart")
    # One stream: a second client is refused with an error that the package knows as one to try again.
    with Serving(PROGRAM, "--streams", "1") as one:
        client = openai.OpenAI(base_url=one.url + "/v1", api_key="none", max_retries=0)
        slow = socket.create_connection(("127.0.0.1", one.port))
        body = json.dumps({"input": LONG, "speed": 0.25}).encode()
        slow.sendall(
            b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body
        )
        slow.recv(100)
        try:
            client.audio.speech.create(model="tts-1", voice=VOICE, input=TEXT)
        except openai.InternalServerError as e:
            assert e.status_code == 503 and e.response.headers["retry-after"] == "2" and e.code == "busy", e
        else:
            raise AssertionError("a second stream")
        slow.close()
        # With its usual retries it comes in once the first one has left.
        openai.OpenAI(base_url=one.url + "/v1", api_key="none").audio.speech.create(model="tts-1", voice=VOICE, input=TEXT)
    check("openai: one too many is told to try again, and does")


async def with_wyoming(s):
    async def sound(client):
        start = AudioStart.from_event(await client.read_event())
        data = b""
        while not AudioStop.is_type((event := await client.read_event()).type):
            chunk = AudioChunk.from_event(event)
            assert (chunk.rate, chunk.width, chunk.channels) == (start.rate, start.width, start.channels)
            data += chunk.audio
        return data

    async with AsyncTcpClient("127.0.0.1", s.wyoming) as client:
        await client.write_event(Describe().event())
        info = Info.from_event(await client.read_event())
        program = info.tts[0]
        assert program.supports_synthesize_streaming and VOICE in [v.name for v in program.voices]
        await client.write_event(Ping(text="x").event())
        assert Pong.from_event(await client.read_event()).text == "x"
        await client.write_event(Synthesize(text=TEXT, voice=SynthesizeVoice(name=VOICE)).event())
        first = await sound(client)
        await client.write_event(Synthesize(text=OTHER, voice=SynthesizeVoice(name=VOICE)).event())
        second = await sound(client)
        # As Home Assistant sends a text while it is written.
        await client.write_event(SynthesizeStart(voice=SynthesizeVoice(name=VOICE)).event())
        for piece in [TEXT[:9], TEXT[9:] + " ", OTHER]:
            await client.write_event(SynthesizeChunk(text=piece).event())
        await client.write_event(Synthesize(text=f"{TEXT} {OTHER}", voice=SynthesizeVoice(name=VOICE)).event())
        await client.write_event(SynthesizeStop().event())
        both = await sound(client)
        assert SynthesizeStopped.is_type((await client.read_event()).type)
        await client.write_event(Synthesize(text=f"{TEXT} {OTHER}", voice=SynthesizeVoice(name=VOICE)).event())
        assert await sound(client) == both and len(both) > max(len(first), len(second))
    async with AsyncTcpClient("127.0.0.1", s.wyoming) as client:
        await client.write_event(Synthesize(text=TEXT, voice=SynthesizeVoice(name="nobody")).event())
        error = Error.from_event(await client.read_event())
        assert VOICE in error.text, error
        assert await client.read_event() is None
    check(f"wyoming {len(first) / 32000:.2f} s and {len(second) / 32000:.2f} s, whole and in pieces")


def idle(s):
    """Connections that say nothing, or a letter a second, are closed."""
    silent = socket.create_connection(("127.0.0.1", s.port))
    drip = socket.create_connection(("127.0.0.1", s.port))
    body = socket.create_connection(("127.0.0.1", s.port))
    body.sendall(
        b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
    )
    start, closed = time.monotonic(), {}
    head = iter(b"GET / HTTP/1.1\r\nx: " + 100 * b"y")
    for _, stream in (all_three := [("silent", silent), ("drip", drip), ("body", body)]):
        stream.settimeout(0.01)
    while len(closed) < 3 and time.monotonic() - start < 40:
        time.sleep(0.5)
        for name, stream in all_three:
            if name in closed:
                continue
            try:
                if name == "drip":
                    stream.sendall(bytes([next(head)]))
                if stream.recv(1000) == b"":
                    closed[name] = time.monotonic() - start
            except socket.timeout:
                pass
            except OSError:
                closed[name] = time.monotonic() - start
    assert len(closed) == 3, closed
    check("idle: closed after " + ", ".join(f"{t:.0f} s ({name})" for name, t in closed.items()))


def abuse(s):
    """Garbage, halves of requests, and clients that leave: nothing is left behind."""

    def used():
        pid = s.process.pid
        status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
        return int(status["VmRSS"].split()[0]), int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd"))

    def one(n):
        rng = random.Random(n)
        body = b'{"input": "%s", "voice": "%s"}' % (TEXT.encode(), VOICE.encode())
        head = b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        line = b'{"type": "synthesize", "data": {"text": "%s"}}\n' % TEXT.encode()
        whole, port = rng.choice([(head % len(body) + body, s.port), (line, s.wyoming)])
        kind = rng.randrange(4)
        if kind == 0:
            sent = rng.randbytes(rng.randrange(1, 3000))
        elif kind == 1:
            sent = whole[: rng.randrange(len(whole))]
        elif kind == 2:
            sent = bytearray(whole)
            for _ in range(rng.randrange(1, 6)):
                sent[rng.randrange(len(sent))] = rng.randrange(256)
        else:
            sent = whole
        with socket.create_connection(("127.0.0.1", port)) as stream:
            stream.settimeout(rng.random() / 5)
            try:
                stream.sendall(sent)
                while kind > 1 and rng.random() < 0.9 and stream.recv(rng.randrange(1, 20000)):
                    pass
            except OSError:
                pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(400)))
        time.sleep(1)
        before = used()
        list(pool.map(one, range(400, 2000)))
    time.sleep(1)
    after = used()
    health = json.load(urllib.request.urlopen(s.url + "/health"))
    assert health["streams_free"] == health["streams"], health
    assert after[0] < before[0] + 20_000 and after[1] <= before[1] + 2 and after[2] <= before[2] + 2, (before, after)
    check(f"abuse: 2000 clients; memory {before[0] / 1e3:.0f} and {after[0] / 1e3:.0f} MB, threads and files {after[1:]}")


def with_chromium(s):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 620})
        problems, asked = [], []
        page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: problems.append(str(e)))
        page.on("request", lambda r: asked.append(r.url))
        page.goto(s.url)
        page.fill("#text", TEXT)
        page.select_option("#first", VOICE)
        page.select_option("#second", "it_carlo")
        page.evaluate("() => { $('share').value = 40; $('share').dispatchEvent(new Event('input')); }")
        page.click("#speak")
        page.wait_for_function("() => state.samples > 4000 && state.level > 0.01", timeout=20000)
        grown = page.evaluate("() => [state.samples, $('status').textContent]")
        page.wait_for_function("() => state.finished", timeout=60000)
        state = page.evaluate("() => state")
        assert state["level"] > 0.05 and state["gaps"] == 0, state
        with page.expect_download() as download:
            page.click("#save")
        with wave.open(str(download.value.path())) as saved:
            assert saved.getnframes() == state["samples"], (saved.getnframes(), state)
        if SCREENSHOT:
            page.screenshot(path=SCREENSHOT)
        # A second one is stopped in the middle: the server is rid of it.
        page.select_option("#first", VOICE)
        page.evaluate("() => { $('speed').value = 0.5; }")
        page.click("#speak")
        page.wait_for_function("() => state.samples > 0", timeout=20000)
        page.click("#stop")
        assert page.text_content("#status") == "Stopped."
        # An error of the server is shown.
        page.fill("#text", " ")
        page.click("#speak")
        page.wait_for_function("() => $('status').className === 'error'", timeout=20000)
        assert "empty" in page.text_content("#status")
        problems = [p for p in problems if "400" not in p]
        assert not problems, problems
        outside = [u for u in asked if not u.startswith((s.url, "blob:", "data:"))]
        assert not outside, outside
        browser.close()
    check(
        f"chromium: {state['samples'] / 16000:.2f} s heard, level {state['level']:.2f}, no gap, first sound after"
        f" {state['firstMs']:.0f} ms; while it grew: {grown[1]!r}"
    )


with Serving(PROGRAM) as serving:
    with_curl(serving)
    with_openai(serving)
    asyncio.run(with_wyoming(serving))
    with_chromium(serving)
    abuse(serving)
    idle(serving)
print("all ended with status 0")
