#!/usr/bin/env python3
"""Short WAV files of several formats, into a folder."""

import struct
import sys

for kind, bits, channels, data in [(1, 16, 1, b"\x10\x20" * 50), (1, 24, 2, b"\x01\x02\x03" * 40), (1, 8, 1, b"\x80" * 30), (3, 32, 1, struct.pack("<f", 0.5) * 20)]:
    block = bits // 8 * channels
    fmt = struct.pack("<IHHIIHH", 16, kind, channels, 16000, 16000 * block, block, bits)
    body = b"WAVEfmt " + fmt + b"data" + struct.pack("<I", len(data)) + data
    open(f"{sys.argv[1]}/{kind}-{bits}.wav", "wb").write(b"RIFF" + struct.pack("<I", len(body)) + body)
