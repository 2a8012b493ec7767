"""What train.sh measured, as one JSON object: `best SHAPE FILE` names the fastest form, `all FOLDER` prints everything."""
import json, pathlib, statistics, sys


def rows(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [r for line in rows for r in (line if isinstance(line, list) else [line])]


def summary(folder):
    forms, best, own, usual = (rows(folder / f"{n}.jsonl") for n in ("forms", "best", "own", "usual"))
    shapes = {}
    for shape in dict.fromkeys(r["shape"] for r in own):
        of = lambda rows: [r for r in rows if r["shape"] == shape]
        speed = lambda rows: statistics.median(r["samples_per_s"] for r in of(rows))
        memory = lambda rows: max(r["peak_bytes"] for r in of(rows))
        shapes[shape] = {
            "samples_per_s": speed(own),
            "samples_per_s_with_warmup_rows_excluded": speed(usual),
            "peak_bytes": memory(own),
            "peer_form": of(best)[0]["form"],
            "peer_samples_per_s": speed(best),
            "peer_peak_bytes": memory(best),
            "ratio": speed(own) / speed(best),
            "ratio_in_each_round": [a["samples_per_s"] / b["samples_per_s"] for a, b in zip(of(own), of(best))],
        }
    return {"shapes": shapes, "own": own, "own_with_warmup": usual, "peer": best, "peer_forms": forms}


if sys.argv[1] == "best":
    tried = [r for r in rows(pathlib.Path(sys.argv[3])) if r["shape"] == sys.argv[2]]
    print(max(tried, key=lambda r: r["samples_per_s"])["form"])
else:
    print(json.dumps(summary(pathlib.Path(sys.argv[2])), indent=1))
