"""A comparison of two runs shows names of endpoints, targets and settings as they are: in the terminal, JSON and HTML."""

import io
import json
import re
from pathlib import Path

import pytest

from obswarm.cli.compare import _print
from obswarm.cli.text_console import TextConsole
from obswarm.json_text import to_json
from obswarm.record import LoadTestText, MetricKey, RunMetadata, RunRecord
from obswarm.report import Comparison, compare_runs, comparison_document, comparison_page
from obswarm.sanitize import escape_controls, escape_lines
from obswarm.stats import EndpointKey
from obswarm.store import RunWriter, Store, read_run
from tests.support.hostile import TEXTS, UNFIT
from tests.support.recorded import MadeUpRun

SHOWN = [escape_controls(text.rstrip()) for text in TEXTS.values()]
"""What is for people ends where its last word ends."""


def record(path: Path, number: int) -> RunRecord:
    """One run is ten times as slow as the other and at another target; each has an endpoint of its own, too."""
    about = RunMetadata("1", dict.fromkeys(TEXTS.values(), number), [LoadTestText("t.py", b"")])
    writer = RunWriter(path, about)
    run = MadeUpRun([writer], f"2026013{number}-120000-aaaa")
    for _ in range(25):
        slow = [0.01 * 10**number * (1 + each / 100) for each in range(5)]
        run.pass_a_second({EndpointKey("GET", text): slow for text in [*TEXTS.values(), f"only [{number}] \x1b"]})
        writer.sample(
            run.last.time_s, {MetricKey(text, "app", text, "number"): number + 1.0 for text in TEXTS.values()}
        )
    writer.close()
    with Store(path) as store:
        return read_run(store, store.find(f"2026013{number}"))


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, RunRecord, RunRecord]:
    path = tmp_path_factory.mktemp("runs") / "runs.sqlite"
    records = record(path, 0), record(path, 1)
    return compare_runs(*records), *records


def test_a_comparison_in_the_terminal_escapes_texts(compared: tuple[Comparison, RunRecord, RunRecord]) -> None:
    stream = io.StringIO()
    _print(TextConsole(stream, width=60_000), compared[0])
    shown = stream.getvalue()
    assert not UNFIT.search(shown)
    assert [text for text in SHOWN if shown.count(text) < 4] == []
    assert "GET only [0] \\x1b" in shown


def test_a_comparison_as_json_escapes_texts(compared: tuple[Comparison, RunRecord, RunRecord]) -> None:
    text = to_json(comparison_document(compared[0]), indent=2)
    assert text.isascii()
    names = {each["name"] for each in json.loads(text)["endpoints"]}
    assert names >= {escape_lines(text) for text in TEXTS.values()}


def test_a_comparison_as_a_page_escapes_texts(compared: tuple[Comparison, RunRecord, RunRecord]) -> None:
    page = comparison_page(*compared)
    assert not UNFIT.search(page)
    assert page.count("<script") == page.count("</script>") == 4
    assert "<img" not in page
    assert page.count("&lt;img src=x") >= 3


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_comparison_in_a_narrow_terminal_has_whole_names_and_verdicts(
    compared: tuple[Comparison, RunRecord, RunRecord], width: int
) -> None:
    stream = io.StringIO()
    _print(TextConsole(stream, width=width), compared[0])
    shown = stream.getvalue()
    assert re.search(r"\bGET /users/\[id\][: ]", shown)
    assert "slower" in shown
    assert max(map(len, shown.splitlines())) <= width
