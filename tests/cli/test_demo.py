"""What the demo says in the end of what was seen, and its exit code."""

import io

import pytest

from obswarm.analysis import LoadPoint
from obswarm.cli.demo import explain
from obswarm.cli.text_console import TextConsole

GOOD = [LoadPoint(users, users * 1.0, 0.01) for users in range(10, 310, 10)]
BREAKING = [LoadPoint(users, users * 1.0, 0.05, users * 0.8) for users in range(310, 360, 10)]
FLAT = [LoadPoint(users, 300.0, 0.3, users - 300.0) for users in range(310, 610, 10)]
BROKE = (
    "The site broke: from about 310 users on, it refused requests, with 44% errors at the end. The knee could not be"
)
CASES = {
    "a knee": (GOOD + FLAT, True, 0, "The knee: up to about 3"),
    "a knee without a guard": (GOOD + FLAT, False, 0, "The knee: up to about 3"),
    "errors without a knee": (GOOD + BREAKING, True, 0, BROKE),
    "errors without a knee and a guard": (GOOD + BREAKING, False, 0, BROKE),
    "a guard before anything was seen": ([], True, 0, "The site broke: from about 0 users on, it refused requests"),
    "nothing": (
        GOOD,
        False,
        1,
        "No knee: the site kept up until the end of the ramp, with at most 0% errors in any second.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_demo_that_showed_a_break_ends_with_0(case: str) -> None:
    points, stopped_by_guard, code, said = CASES[case]
    stream = io.StringIO()
    assert explain(TextConsole(stream, width=500), points, stopped_by_guard) == code
    assert stream.getvalue().startswith(said)
