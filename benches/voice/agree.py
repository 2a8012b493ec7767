"""agree.py FIGURES.json COPY.json...: fails where measure.py and `wavesynth copy` differ on the log-mel distance.

Both compute it, by the one definition of docs/voice.md. They read the copies before and behind 16-bit rounding.
"""

import json
import sys
from pathlib import Path

LIMIT_DB = 0.02


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    measured = json.loads(Path(sys.argv[1]).read_text())["files"]
    ours = {(r["speaker"], r["utt"]): r["log_mel_db"] for r in measured}
    for report in sys.argv[2:]:
        for row in json.loads(Path(report).read_text())["inputs"]:
            path = Path(row["input"])
            here = ours[path.parent.name, path.stem]
            if abs(here - row["log_mel_db"]) > LIMIT_DB:
                raise SystemExit(f"{row['input']}: log-mel distance {here} by measure.py, {row['log_mel_db']} by copy")


if __name__ == "__main__":
    main()
