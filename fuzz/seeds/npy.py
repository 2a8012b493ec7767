#!/usr/bin/env python3
"""Short arrays of several types, into a folder."""

import struct
import sys

for name, kind, data in [("u1", "|u1", b"\1\2\3"), ("i8", "<i8", struct.pack("<2q", 5, 9)), ("f4", "<f4", struct.pack("<f", 0.5)), ("f8", "<f8", struct.pack("<d", 0.25))]:
    n = len(data) // int(kind[-1])
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({n},), }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    open(f"{sys.argv[1]}/{name}.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data)
