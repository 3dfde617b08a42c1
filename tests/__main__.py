"""Runs all tests: groups side by side that mostly wait or only count, and then, alone on the machine, those that measure
time.

Arguments are pytest's. With a path among them there is one run of just that.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PHASES = (
    (
        (
            "tests/e2e/test_bad_input.py",
            "tests/e2e/test_dashboards.py",
            "tests/e2e/test_documentation.py",
            "tests/e2e/test_examples.py",
            "tests/e2e/test_figures.py",
            "tests/e2e/test_export.py",
            "tests/e2e/test_guards.py",
            "tests/e2e/test_hanging_target.py",
            "tests/e2e/test_open_files.py",
            "tests/e2e/test_names_of_modules.py",
            "tests/e2e/test_stack_bad_weather.py",
            "tests/integration/guards/test_sources.py",
        ),
        (
            "tests/e2e/test_service.py",
            "tests/e2e/test_secrets.py",
            "tests/e2e/test_service_crashes.py",
            "tests/e2e/test_state.py",
            "tests/integration/guards/test_earlier_runs.py",
            "tests/integration/guards/test_targets.py",
            "tests/integration/targets",
            "tests/integration/metrics",
        ),
    ),
    (
        ("tests/integration/stack",),
        (
            "tests/e2e/test_lower_bounds.py",
            "tests/e2e/test_exactness.py",
            "tests/e2e/test_store.py",
            "tests/e2e/test_report.py",
            "tests/analysis",
            "tests/report",
            "tests/store",
            "tests/integration/http",
        ),
    ),
    (
        (
            "tests/e2e/test_failing_outputs.py",
            "tests/e2e/test_fleet.py",
            "tests/e2e/test_fleet_recovery.py",
            "tests/e2e/test_listeners.py",
            "tests/e2e/test_odd_values.py",
            "tests/e2e/test_texts_of_others.py",
            "tests/integration/contest",
        ),
        (
            "tests/api",
            "tests/cli",
            "tests/cluster",
            "tests/contest",
            "tests/dashboards",
            "tests/e2e/test_guard_situations.py",
            "tests/engine",
            "tests/faults",
            "tests/guards",
            "tests/http",
            "tests/metrics",
            "tests/outputs",
            "tests/stack",
            "tests/stats",
            "tests/targets",
            "tests/web",
        ),
    ),
)
"""One after the other; the groups of each are side by side."""

NO_TESTS = 5
SIDE = "OBSWARM_TESTS_SIDE"


def main(arguments: list[str]) -> int:
    if any(not argument.startswith("-") and Path(argument.partition("::")[0]).exists() for argument in arguments):
        return pytest(*arguments).wait()
    ended = [side_by_side(sides, arguments) for sides in PHASES]
    ignored = [f"--ignore={path}" for sides in PHASES for side in sides for path in side]
    alone = pytest(*ignored, *arguments).wait()
    for _, failed in ended:
        for text in failed:
            print(text, flush=True)
    code = next((code for code, _ in ended if code), 0)
    return code or (0 if alone == NO_TESTS else alone)


def side_by_side(sides: tuple[tuple[str, ...], ...], arguments: list[str]) -> tuple[int, list[str]]:
    """(exit code, what those that failed have said)."""
    with tempfile.TemporaryDirectory(prefix="obswarm-tests-") as folder:
        files = [Path(folder, f"side-{number}") for number in range(len(sides))]
        running = []
        for number, (side, file) in enumerate(zip(sides, files, strict=True)):
            with open(file, "wb") as output:
                running.append(pytest(*side, *arguments, output=output, side=number))
        codes = [process.wait() for process in running]
        said = [file.read_text(errors="replace") for file in files]
    for text in said:
        print(text, flush=True)
    wrong = [code for code in codes if code not in (0, NO_TESTS)]
    return next(iter(wrong), 0), [text for text, code in zip(said, codes, strict=True) if code in wrong]


def pytest(*arguments: str, output: object = None, side: int | None = None) -> "subprocess.Popen[bytes]":
    environment = dict(os.environ) if side is None else {**os.environ, SIDE: str(side)}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        env=environment,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
