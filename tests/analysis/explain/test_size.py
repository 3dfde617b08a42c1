"""Memory that an explanation takes, from the store on: 5,000 metrics of half an hour have to fit into 500 MB."""

import sys
from pathlib import Path

from obswarm.store import FILE
from tests.support.many_series import write_run
from tests.support.measured_program import run_measured
from tests.support.patience import HANG_S

SECONDS = 400
LARGEST_BYTES = 500e6 / (5000 * 1800)
"""For each sample."""


def memory_bytes(folder: Path) -> int:
    """Highest resident memory of `obswarm explain`."""
    command = [sys.executable, "-m", "obswarm", "explain", "--store", str(folder), "--json"]
    return run_measured(command, HANG_S).memory_bytes


def test_memory_grows_by_a_few_bytes_for_each_sample(tmp_path: Path) -> None:
    used = []
    for series in (200, 2200):
        folder = tmp_path / str(series)
        folder.mkdir()
        write_run(folder / FILE, series, SECONDS)
        used.append(memory_bytes(folder))
    assert (used[1] - used[0]) / (2000 * SECONDS) < LARGEST_BYTES
