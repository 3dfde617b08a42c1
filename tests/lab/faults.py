"""`make lab-faults`: every error at every place of a run that writes, from its first call on and from its third, with users
in the process and in a worker process. Prints a table by error, and what should not be. Takes some minutes."""

# The monkey-patch has to stand before everything else.
import obswarm.gevent_patch  # noqa: F401, I001

import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.support.write_faults import ERRORS, complaints, is_possible, run_with_fault
from tests.support.faulty import FaultyProgram

_FROM_CALLS = (0, 2)
_ONLY_WITH_WORKERS = "cluster/"
"""Places that are tried with a worker process; the others are the same with one and without."""


def main() -> int:
    codes: Counter[tuple[str, object]] = Counter()
    wrong: list[str] = []
    tried: set[str] = set()
    runs = 0
    with tempfile.TemporaryDirectory(prefix="obswarm-faults-") as top, FaultyProgram() as program:
        older = Path(top, "older")
        for workers, before in ((0, None), (0, older), (1, None)):
            folder = older if not runs else Path(top, f"none-{runs}")
            found = run_with_fault(program, folder, workers=workers, older=before).reached - tried
            places = sorted(place for place in found if not workers or place.startswith(_ONLY_WITH_WORKERS))
            tried.update(places)
            print(f"{len(places)} places with {workers or 'no'} worker process{'es' * (not workers)}", flush=True)
            for place in places:
                for name, number in ERRORS.items():
                    if not is_possible(place, name):
                        continue
                    for after in _FROM_CALLS:
                        runs += 1
                        folder = Path(top, str(runs))
                        ended = run_with_fault(program, folder, place, number, after, workers, before)
                        if not ended.failed:
                            continue
                        codes[name, ended.code] += 1
                        wrong += [
                            f"{name} at {place} from call {after} on, {workers} workers: {each}\n{ended.stderr[-800:]}"
                            for each in complaints(ended, folder)
                        ]
    print("error   | exit 0 (nothing lost) | exit 2 (no run) | exit 4 (named)")
    for name in ERRORS:
        print(f"{name:7} | {codes[name, 0]:21} | {codes[name, 2]:15} | {codes[name, 4]:14}")
    print(f"{sum(codes.values())} runs with a fault; {len(wrong)} ended as they should not.")
    for text in wrong:
        print(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
