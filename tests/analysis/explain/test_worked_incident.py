"""The worked incident of docs/explain.md is what `obswarm explain` says of a recording."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from obswarm.analysis.explain import Explanation, explain, headline, sections
from obswarm.units import format_clock
from tests.support.programs import ROOT
from tests.support.recordings import FOLDER, SUFFIX, load_recording

RECORDING = "no-cache.160.1"
LEFT_OUT = "…"


@cache
def explanation() -> Explanation:
    return explain(load_recording(FOLDER / f"{RECORDING}{SUFFIX}").explain_input)


def whole() -> list[str]:
    """The lines that the command prints."""
    return [
        headline(explanation()),
        *(line for heading, lines in sections(explanation()) for line in (heading, *lines)),
    ]


def documented() -> tuple[list[str], str]:
    """The lines of the text, without those that are empty, and what is said about it."""
    chapter = (ROOT / "docs" / "explain.md").read_text().split("## A worked incident", 1)[1].split("\n## ", 1)[0]
    before, text, after = re.split(r"```(?:text)?\n", chapter)
    return [line.strip() for line in text.splitlines() if line.strip()], before + after


def left_over(lines: list[str], output: list[str]) -> Iterator[str]:
    """Yield the documented lines that are not in the output, in its order."""
    begin = 0
    for line in lines:
        pattern = re.escape(line).replace(re.escape(LEFT_OUT), ".*")
        if line == LEFT_OUT:
            continue
        at = next((number for number in range(begin, len(output)) if re.fullmatch(pattern, output[number])), None)
        if at is None:
            yield line
        else:
            begin = at + 1


def test_every_line_is_one_of_the_output_in_its_order() -> None:
    lines, _ = documented()
    assert len(lines) > 15
    assert not list(left_over(lines, whole()))


def test_nothing_is_left_out_without_a_sign() -> None:
    lines, _ = documented()
    output = whole()
    for before, line in pairwise(lines):
        if LEFT_OUT in (before, line):
            continue
        found = [
            number
            for number, (one, other) in enumerate(pairwise(output))
            if not list(left_over([before], [one])) and not list(left_over([line], [other]))
        ]
        assert found, f"{before} is not followed by {line}"


def test_what_is_said_about_it_has_its_numbers() -> None:
    _, about = documented()
    recording = load_recording(FOLDER / f"{RECORDING}{SUFFIX}")
    output = " ".join(whole())
    users, fold, moment = (
        re.search(pattern, about) for pattern in (r"(\d+) users", r"takes (\d+) times", r"at (\d:\d+)")
    )
    assert users is not None
    assert fold is not None
    assert moment is not None
    assert f"with {users[1]} users" in output
    assert recording.users == int(users[1])
    assert re.search(rf"Time per statement rose from .* \({fold[1]}-fold\)", output)
    assert format_clock(explanation().symptoms[0].onset.time_s) == moment[1]
    since = re.search(r"after (\d+) s, its cache was switched off", about)
    assert since is not None
    assert recording.fault_on_s is not None
    assert int(since[1]) == int(recording.fault_on_s)
