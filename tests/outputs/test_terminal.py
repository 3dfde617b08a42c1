"""What a terminal shows of a load test's and a target's texts is those texts: no markup, no colours, no commands."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner

from obswarm.api.debug import RequestPrinter
from obswarm.cli.display import LiveDisplay
from obswarm.cli.main import cli, main
from obswarm.cli.plain import PlainProgress
from obswarm.cli.summary import print_summary
from obswarm.cli.targets import _show_health
from obswarm.cli.text_console import TextConsole, TextTable, joined, panel, plain
from obswarm.guards import RequirementResult, parse_requirement
from obswarm.record import Annotation, RunMetadata
from obswarm.report import result_document
from obswarm.sanitize import escape_controls
from obswarm.store import RunWriter
from obswarm.streams import echo, echo_error, echo_lines
from obswarm.targets import Target, TargetHealth
from tests.support.hostile import TEXTS, UNFIT, hostile_result, hostile_snapshot

WIDE = 60_000
every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def console() -> tuple[TextConsole, io.StringIO]:
    stream = io.StringIO()
    return TextConsole(stream, width=WIDE), stream


def assert_shown(text: str, shown: str) -> None:
    assert not UNFIT.search(shown)
    assert escape_controls(text) in shown


@every_text
def test_the_live_display_shows_texts_as_they_are(text: str) -> None:
    screen, stream = console()
    display = LiveDisplay(screen)
    snapshot = hostile_snapshot(text)
    display._recent.add(snapshot)
    screen.print(display.render(snapshot))
    assert_shown(text, stream.getvalue())
    # Title, users by class, endpoint, error, guard.
    assert stream.getvalue().count(escape_controls(text)) >= 9


@every_text
def test_the_summary_shows_texts_as_they_are(text: str) -> None:
    screen, stream = console()
    print_summary(screen, hostile_result(text), [RequirementResult(parse_requirement("p95 < 1s"), False, float("inf"))])
    assert_shown(text, stream.getvalue())
    assert stream.getvalue().count(escape_controls(text)) >= 10
    assert "p95 < 1s: NOT MET (+Inf)" in stream.getvalue()


@every_text
def test_plain_progress_has_no_texts_of_others(text: str) -> None:
    stream = io.StringIO()
    PlainProgress(stream).snapshot(hostile_snapshot(text))
    assert not UNFIT.search(stream.getvalue())
    assert len(stream.getvalue().splitlines()) == 1


@every_text
def test_targets_are_shown_as_they_are(text: str) -> None:
    class Source:
        def health(self) -> list[TargetHealth]:
            return [TargetHealth(Target(text, "app", text), False, text, 1.0)]

    screen, stream = console()
    _show_health(screen, Source())  # type: ignore[arg-type]  # all that is asked of it
    assert stream.getvalue().count(escape_controls(text)) >= 3
    assert not UNFIT.search(stream.getvalue())


@every_text
def test_kept_runs_are_shown_as_they_are(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obswarm.cli.text_console.WIDTH_WITHOUT_TERMINAL", WIDE)
    writer = RunWriter(tmp_path / "runs.sqlite", RunMetadata("1", {"option": text}))
    result = hostile_result(text)
    writer.snapshot(result.final)
    writer.annotation(Annotation(1.0, "guard", text))
    writer.finish(result.final, 2.0, result_document(result))
    writer.close()
    store = ["--store", str(tmp_path)]
    for arguments in (
        ["runs", "list", *store],
        ["runs", "show", "latest", *store],
        ["runs", "note", "latest", *store, "--", text],
    ):
        shown = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert shown.exit_code == 0
        assert_shown(text, shown.stdout)
    for arguments in (["runs", "list", "--json", *store], ["runs", "show", "latest", "--json", *store]):
        shown = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert shown.exit_code == 0
        assert not UNFIT.search(shown.stdout)
        assert shown.stdout.isascii()


@every_text
def test_run_single_user_prints_a_line_for_each_request(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    printer = RequestPrinter(True, True, True, True)
    printer(text, text, 1.0, 2, RuntimeError(text), {text: text}, type("Response", (), {"text": text})())
    shown = capsys.readouterr().out
    assert not UNFIT.search(shown)
    assert len(shown.splitlines()) == 4


@every_text
def test_every_part_of_a_console_takes_text(text: str) -> None:
    screen, stream = console()
    table = TextTable(title=text, caption=text)
    table.add_column(text, text)
    table.add_row(text)
    table.add_row(plain(text, "bold"))
    screen.print(table, text, panel(text, plain(text), plain(text), "red"))
    screen.print(joined(text, (text, "red")), soft_wrap=True)
    screen.rule(text)
    assert_shown(text, stream.getvalue())


def test_what_a_load_test_prints_beside_the_display_keeps_its_lines() -> None:
    from rich.text import Text

    screen, stream = console()
    screen.print(Text("one\ntwo \x1b[2J\tthree"))
    assert stream.getvalue() == "one\ntwo \\x1b[2J three\n"


@every_text
def test_say_keeps_lines_and_errors_indent_them(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    echo(text)
    echo_lines(text)
    echo_error(text)
    out, err = capsys.readouterr()
    assert not UNFIT.search(out + err)
    assert all(line.startswith("  ") for line in err.splitlines()[1:])


@every_text
def test_errors_of_the_command_line_are_text(
    text: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "\0" in text or text.startswith("@"):
        return  # No argument can have a zero byte.
    monkeypatch.setattr("sys.argv", ["obswarm", "run", "--users", text])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert not UNFIT.search(capfd.readouterr().err)
