#!/usr/bin/env python3
"""How `wavesynth serve` does under load.

    benches/serve.py WAVESYNTH OUT.json [CORE]

The server runs on one core (CORE, 1 unless given), the clients on the others. Each client asks for speech again and again,
and takes it as a player does: it begins 100 ms after the first sound and reads in real time. A moment at which the next
20 ms are not there is a gap. Further options of the server go into SERVE_OPTIONS.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time

PROGRAM, OUT = sys.argv[1:3]
CORE = sys.argv[3] if len(sys.argv) > 3 else "1"
SECONDS = float(os.environ.get("SECONDS_EACH", "20"))
INPUTS = [
    "Hello, my name is Allison. How can I help you today?",
    "The next train to the airport leaves at 9:45 from platform three.",
    "It will be mostly sunny, with a light wind from the west and 21 degrees in the afternoon.",
    "Your timer has ended.",
    "He was born on the 3rd of May, 1952, in a small town by the river, and he has lived there ever since.",
]
VOICES = ["en_allison", "es_allison", "fr_june", "it_carlo", "ru_ivrvoice", "ru_nsh"]
RATE, STEP, AHEAD = 16000, 0.02, 0.1


class Player:
    """Takes a sound in real time."""

    def __init__(self):
        self.have, self.ended, self.gaps = 0, False, 0

    async def play(self):
        await asyncio.sleep(AHEAD)
        start, played, late = time.monotonic(), 0, 0.0
        while True:
            await asyncio.sleep(max(0, start + late + played / RATE - time.monotonic()))
            if self.ended and played >= self.have:
                return
            if self.have < played + RATE * STEP and not self.ended:
                self.gaps += 1
                late += STEP
                continue
            played += int(RATE * STEP)


async def request(port, number):
    """One request: seconds to the first byte of sound, seconds of sound, gaps; None where it was refused."""
    body = json.dumps(
        {"input": INPUTS[number % len(INPUTS)], "voice": VOICES[number % len(VOICES)], "language": "en", "seed": number}
    ).encode()
    start = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 13)
    head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    try:
        status = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in status.split(b"\r\n")[0]:
            return None
        player, playing, first, received = Player(), None, None, 0
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
            if first is None:
                first = time.monotonic() - start
                playing = asyncio.create_task(player.play())
            received += size
            player.have = (received - 44) // 2
            # Not more than two seconds ahead of what is heard.
            ahead = player.have / RATE - (time.monotonic() - start - first)
            if ahead > 2:
                await asyncio.sleep(ahead - 2)
        await reader.readline()
        player.ended = True
        await playing
        return first, player.have / RATE, player.gaps
    finally:
        writer.close()


def cpu_seconds(pid):
    """CPU time of all threads so far."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(server, port, clients):
    results, refused, end = [], 0, time.monotonic() + SECONDS
    before = cpu_seconds(server.pid)

    async def client(n):
        nonlocal refused
        await asyncio.sleep(0.37 * n % 1.7)
        number = n
        while time.monotonic() < end:
            done = await request(port, number)
            number += clients
            if done is None:
                refused += 1
                await asyncio.sleep(0.5)
            else:
                results.append(done)

    await asyncio.gather(*(client(n) for n in range(clients)))
    first = sorted(1000 * r[0] for r in results)
    at = lambda share: round(first[min(len(first) - 1, int(share * len(first)))], 1)
    cpu, sound = cpu_seconds(server.pid) - before, sum(r[1] for r in results)
    return {
        "clients": clients, "requests": len(results), "refused": refused,
        "first_byte_ms": {"median": at(0.5), "p99": at(0.99), "max": round(first[-1], 1)},
        "seconds_of_sound": round(sound, 1), "gaps": sum(r[2] for r in results),
        # With HTTP and all: how many streams a core plays that does nothing else.
        "cpu_s": round(cpu, 2), "streams_per_core": round(sound / cpu, 2), "load_average": os.getloadavg()[0],
    }


def main():
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    server = subprocess.Popen(
        ["taskset", "-c", CORE, PROGRAM, "serve", "--listen", "127.0.0.1:0", *os.environ.get("SERVE_OPTIONS", "").split()],
        stderr=subprocess.PIPE, text=True
    )
    said = server.stderr.readline().strip()
    print(said)
    port = int(re.search(r"http://[\d.]+:(\d+)", said)[1])
    streams = int(re.search(r"(\d+) streams", said)[1])
    runs = []
    try:
        for clients in sorted({1, 4, 8, streams, streams + 4}):
            runs.append(asyncio.run(load(server, port, clients)))
            print(json.dumps(runs[-1]), flush=True)
    finally:
        server.terminate()
        status = server.wait()
    result = {
        "cpu": cpu[1] if cpu else None, "load_before": os.getloadavg(), "said": said, "streams": streams,
        "seconds_each": SECONDS, "runs": runs, "exit_status": status,
    }
    with open(OUT, "w") as out:
        json.dump(result, out, indent=1)


main()
