#!/usr/bin/env python3
"""table.py OUT [WHAT]: the results of images.sh in OUT as a table, best first; or of another script, whose names are of WHAT."""

import csv
import json
import pathlib
import sys

out = pathlib.Path(sys.argv[1])
what, prefix = (sys.argv[2], "") if len(sys.argv) > 2 else ("run file", "images-")
rows = []
for path in out.glob("*.json"):
    score = json.loads(path.read_text())
    log = list(csv.DictReader((out / f"{path.stem}.csv").open()))
    held = [r for r in log if r["held_out_nats"]]
    best = min(held, key=lambda r: float(r["held_out_nats"]))
    rows.append((score["nats_per_image"], score["nats_per_image_error"], path.stem, score["images"], int(best["step"]), float(log[-1]["seconds"])))
print(f"| {what} | nats an image, test | images | best step | seconds of training |\n|---|---:|---:|---:|---:|")
for nats, error, name, images, step, seconds in sorted(rows):
    print(f"| {prefix}{name} | {nats:.2f} ± {error:.2f} | {images:,} | {step:,} | {seconds:,.0f} |")
