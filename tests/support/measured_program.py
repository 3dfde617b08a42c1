"""A program with the CPU time and the memory that it took."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

# In a process of its own: under gevent's subprocess, waiting for a child by os.wait4 never ends.
_MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True, check=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.stdout, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]))
"""


class Measured(NamedTuple):
    """Standard output, seconds of CPU, and resident memory in bytes at its highest."""

    stdout: str
    cpu_s: float
    memory_bytes: int


def run_measured(command: Sequence[str], timeout_s: float) -> Measured:
    """Run a program. Raises CalledProcessError if it fails."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *command], capture_output=True, text=True, check=True, timeout=timeout_s
    )
    return Measured(*json.loads(done.stdout))
