"""`make lab-locust`: the corpus of locustfiles (tests/locust_compat) by real Locust, and by obswarm.

Installs the newest Locust of PyPI into .venv-locust and runs each case twice with it. Writes what it did to
tests/locust_compat/recorded/, and the differences that intended.py has a reason for to tests/locust_compat/intended/, and
prints all others; those are tried once more. OBSWARM_LAB_CASES chooses cases by name.
"""

# The monkey-patch has to stand before everything else.
import obswarm.gevent_patch  # noqa: F401, I001

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gevent.pool import Pool

from tests.locust_compat import recorded
from tests.locust_compat.comparison import Difference, differences
from tests.locust_compat.corpus import Case, all_cases
from tests.locust_compat.intended import OF_CASES, file_of, not_found, unexplained, write
from tests.locust_compat.runs import OBSWARM, Observation, Program, observe
from tests.support.programs import ROOT

_ENVIRONMENT = ROOT / ".venv-locust"
_AT_A_TIME = 2


def main() -> int:
    program = _installed()
    wanted = os.environ.get("OBSWARM_LAB_CASES", "").split()
    cases = [case for case in all_cases() if not wanted or case.name in wanted]
    if not wanted:
        for folder in (recorded.FOLDER, file_of("any").parent):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
    doubtful = [case for case, is_right in _all_compared(cases, program, _AT_A_TIME) if not is_right]
    if doubtful:
        print("Once more, one at a time: on a busy machine --run-time of Locust is shorter than it says.", flush=True)
    wrong = sum(not is_right for _, is_right in _all_compared(doubtful, program, 1))
    print(f"{len(cases)} cases; {wrong} are not as they should be.")
    return 1 if wrong else 0


def _all_compared(cases: list[Case], program: Program, at_a_time: int) -> Iterator[tuple[Case, bool]]:
    """Compare the cases, and print what differs; yields each with whether it is as it should be."""
    compared = Pool(at_a_time).imap(_compared, [(case, program) for case in cases])
    for case, (undetermined, found) in zip(cases, compared, strict=True):
        left = unexplained(case.name, found)
        if case.name in OF_CASES:
            write(case.name, left)
            left = []
        gone = not_found(case.name, found)
        print(f"{case.name}: {len(found)} differences, {len(left)} of them not intended", flush=True)
        _show("Locust itself differs from one run to the next", undetermined)
        _show("obswarm differs", left)
        for entry in gone:
            print(f"    no longer differs: {entry.why}")
        yield case, not (left or gone or undetermined)


def _installed() -> Program:
    """Return the newest Locust."""
    if not _ENVIRONMENT.exists():
        subprocess.run([sys.executable, "-m", "venv", _ENVIRONMENT], check=True)
    subprocess.run([_ENVIRONMENT / "bin" / "pip", "install", "--quiet", "--upgrade", "locust"], check=True)
    subprocess.run([_ENVIRONMENT / "bin" / "locust", "--version"], check=True)
    return Program((str(_ENVIRONMENT / "bin" / "locust"),), str(_ENVIRONMENT / "bin" / "python"))


def _compared(given: tuple[Case, Program]) -> tuple[list[Difference], list[Difference]]:
    """Run and record the case; return how Locust differs from itself, and how obswarm differs from it."""
    case, program = given
    first, again, mine = (_observed(case, each) for each in (program, program, OBSWARM))
    recorded.write(case, first)
    return differences(case, first, again), differences(case, first, mine)


def _observed(case: Case, program: Program) -> Observation:
    with tempfile.TemporaryDirectory(prefix="obswarm-corpus-") as folder:
        return observe(case, program, Path(folder))


def _show(title: str, found: list[Difference]) -> None:
    if found:
        print(f"    {title}:")
    for where, one, other in found:
        print(f"        {where}\n            {one}\n            {other}")


if __name__ == "__main__":
    sys.exit(main())
