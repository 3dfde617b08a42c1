"""Time and memory of `obswarm explain`, from the store, for a long run with many metrics.

    python -m benchmarks.explain [SERIES [SECONDS]]

By default half an hour with 5,000 metrics, each of which changes every second.
"""

import json
import sys
import tempfile
from pathlib import Path

from obswarm import gevent_patch  # noqa: F401 - as the command has it
from obswarm.store import FILE
from tests.support.many_series import write_run
from tests.support.measured_program import run_measured

SERIES, SECONDS = 5000, 1800

_LONGEST_S = 600.0


def main(series: int = SERIES, seconds: int = SECONDS) -> dict[str, float]:
    """Return seconds of CPU, resident memory in bytes at its highest, and the size of the store in bytes."""
    with tempfile.TemporaryDirectory(prefix="obswarm-explain-") as folder:
        path = Path(folder, FILE)
        write_run(path, series, seconds)
        command = [sys.executable, "-m", "obswarm", "explain", "--store", folder, "--json"]
        measured = run_measured(command, _LONGEST_S)
        document = json.loads(measured.stdout)
        if not document["symptoms"]:
            raise SystemExit(f"The run was not explained: {document['headline']}")
        return {
            "cpu_s": measured.cpu_s,
            "memory_bytes": measured.memory_bytes,
            "store_bytes": path.stat().st_size,
        }


if __name__ == "__main__":
    found = main(*map(int, sys.argv[1:]))
    print(
        f"{found['cpu_s']:.1f} s of CPU and {found['memory_bytes'] / 1e6:.0f} MB of memory, for a store of"
        f" {found['store_bytes'] / 1e6:.0f} MB"
    )
