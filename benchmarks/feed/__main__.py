"""What a large file of test data costs: the time to validate it, and memory, beside that of a small file.

    python -m benchmarks.feed [MEGABYTES]

A CSV file of 1 GB by default, of which every tenth row has a quoted line break; blocks of 1,000 rows are read in the
order of each policy.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from obswarm.feeds import FeedDefinition, open_rows
from obswarm.feeds.order import row_number

MEGABYTES = 1000
SMALL_MEGABYTES = 1
_BLOCK = 1_000
_BLOCKS = 50


def write(path: Path, megabytes: int) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write("name,password,note\n")
        number, size = 0, 0
        while size < megabytes * 1_000_000:
            note = f'"line one\nline two {number}"' if number % 10 == 0 else "plain"
            size += file.write(f"user-{number:09},{number * 7919:032},{note}\n")
            number += 1


def measure(path: Path) -> dict[str, float]:
    """Give CPU seconds, the number of rows, and the largest resident memory of this process, in MB."""
    began = time.process_time()
    rows = open_rows(FeedDefinition("rows", "csv", str(path)))
    opened_s = time.process_time() - began
    found = {"rows": float(rows.count), "open_s": opened_s}
    for policy in ("unique", "shuffle", "random"):
        began = time.process_time()
        for block in range(_BLOCKS):
            rows.read([row_number(policy, 1, rows.count, block * _BLOCK + place) for place in range(_BLOCK)])
        found[f"{policy}_us_per_row"] = (time.process_time() - began) / _BLOCKS / _BLOCK * 1e6
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def main(megabytes: int = MEGABYTES) -> None:
    with tempfile.TemporaryDirectory(prefix="obswarm-feed-") as folder:
        for size in (SMALL_MEGABYTES, megabytes):
            path = Path(folder, f"{size}.csv")
            write(path, size)
            # In a process of its own: the largest memory of a process never falls.
            done = subprocess.run(
                [sys.executable, "-c", f"from benchmarks.feed.__main__ import *; print(measure(Path({str(path)!r})))"],
                capture_output=True,
                text=True,
                check=True,
            )
            print(f"{path.stat().st_size / 1e6:.0f} MB: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
