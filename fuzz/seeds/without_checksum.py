#!/usr/bin/env python3
"""without_checksum.py FROM TO: a checkpoint without its checksum, behind which a fuzzer would reach nothing. FROM goes."""

import json
import os
import struct
import sys

data = open(sys.argv[1], "rb").read()
end = 8 + struct.unpack("<Q", data[:8])[0]
head = json.loads(data[8:end])
del head["__metadata__"]["wavesynth.checksum"]
text = json.dumps(head).encode()
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + data[end:])
os.remove(sys.argv[1])
