"""Log records are text wherever they go: to a stream, a file, above the display, from worker processes, to clients."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from obswarm.api import ObswarmError
from obswarm.cli.terminal import Log
from obswarm.cli.text_console import TextConsole, console_handler
from obswarm.cli.tracebacks import escape_tracebacks
from obswarm.cluster import RecordFormatter
from obswarm.cluster.processes import _pump, _record_prefix
from obswarm.log_format import stream_handler
from obswarm.sanitize import escape_lines
from obswarm.streams import LogFile, set_up_logging
from obswarm.web.runs import RunEvents, RunEventsHandler
from obswarm.web.wire import pack_message
from tests.support.hostile import TEXTS, UNFIT
from tests.support.patience import HANG_S
from tests.support.recorded import PAGE, MadeUpRun, result_of

every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
logger = logging.getLogger("obswarm.tests")
INCARNATION = "c0ffee"


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """As it was, afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def log_everything(text: str) -> None:
    logger.warning("%s", text)
    logger.warning("%s", text, extra={"markup": True, "highlighter": None})
    try:
        raise RuntimeError(text)
    except RuntimeError:
        logger.exception("failed")
    logging.getLogger(text).warning("from a logger of that name")


def assert_records(shown: str, text: str, begin: str) -> None:
    """Each record is there, and no line but their first ones begins as a record does."""
    assert not UNFIT.search(shown)
    assert escape_lines(text).splitlines()[-1] in shown
    assert all(line.startswith((begin, "  ")) or not line for line in shown.splitlines())
    assert sum(line.startswith(begin) for line in shown.splitlines()) == 4


@every_text
def test_log_records_on_standard_error_are_escaped(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("INFO")
    log_everything(text)
    assert_records(capsys.readouterr().err.replace("ERROR: failed", "WARNING: failed"), text, "WARNING: ")


@every_text
def test_log_records_in_a_log_file_are_escaped(text: str, tmp_path: Path) -> None:
    set_up_logging("INFO", str(tmp_path / "log"))
    log_everything(text)
    assert_records((tmp_path / "log").read_text(encoding="utf-8"), text, "20")


@every_text
def test_log_records_are_printed_above_the_live_display(text: str) -> None:
    stream = io.StringIO()
    set_up_logging("INFO", handler=console_handler(TextConsole(stream, width=60_000)))
    log_everything(text)
    assert not UNFIT.search(stream.getvalue())
    assert stream.getvalue().count("WARNING") == 3
    # As a message twice, and in a traceback.
    assert all(stream.getvalue().count(line.strip()) >= 3 for line in escape_lines(text).expandtabs().splitlines())


@every_text
def test_log_records_of_a_worker_process_are_escaped(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    child = io.StringIO()
    handler = logging.StreamHandler(child)
    handler.setFormatter(RecordFormatter(INCARNATION))
    logging.getLogger().handlers[:] = [handler]
    child.write("printed without an end of line ")
    log_everything(text)
    assert child.getvalue().isascii()
    assert child.getvalue().count("\n") == 4
    set_up_logging("INFO")
    child.seek(0)
    printed = io.StringIO()
    _pump(child, lambda: printed, _record_prefix(INCARNATION))
    assert printed.getvalue() == "printed without an end of line "
    assert_records(capsys.readouterr().err.replace("ERROR: failed", "WARNING: failed"), text, "WARNING: ")


def test_what_a_load_test_prints_is_never_taken_for_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("INFO")
    texts = ["\x1e40\x1fobswarm\x1fforged\n", '\x1eanother [40, "obswarm", "forged"]\n', "\x1e\n"]
    printed = io.StringIO()
    _pump(io.StringIO("".join(texts)), lambda: printed, _record_prefix(INCARNATION))
    assert printed.getvalue() == "".join(texts)
    assert capsys.readouterr().err == ""


def test_a_record_that_was_cut_off_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("INFO")
    _pump(
        io.StringIO(_record_prefix(INCARNATION) + '[40, "obswarm", "half of it'),
        io.StringIO,
        _record_prefix(INCARNATION),
    )
    assert capsys.readouterr().err == 'WARNING: A worker process said: [40, "obswarm", "half of it\n'


def test_a_sink_that_cannot_take_it_does_not_end_the_pump(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    set_up_logging("INFO")
    lines = f'one\n{_record_prefix(INCARNATION)}[40, "obswarm", "two"]\n'
    _pump(io.StringIO(lines), Broken, _record_prefix(INCARNATION))
    assert capsys.readouterr().err == "ERROR: two\n"


@every_text
def test_log_records_for_a_client_of_a_service_are_escaped(text: str) -> None:
    run = RunEvents()
    handler = RunEventsHandler(run)
    logging.getLogger().handlers[:] = [handler]
    log_everything(text)
    events = run.since(0, 0)
    assert [each[1] for each in events] == ["log"] * 4
    assert events[0][4] == text
    assert "RuntimeError" in events[2][4]
    assert pack_message(events)


def test_a_log_file_is_made_when_there_is_something_to_write_or_a_run(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "new" / "log"))
    assert not (tmp_path / "new").exists()
    log = Log(file)
    log.snapshot(MadeUpRun([]).second({PAGE: [0.01]}))
    assert (tmp_path / "new" / "log").read_text() == ""
    file.close()


def test_a_log_file_that_cannot_be_made_any_more_is_said_once_and_is_incomplete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = LogFile(str(tmp_path / "log"))
    (tmp_path / "log").mkdir()
    log, run = Log(file), MadeUpRun([])
    for _ in range(2):
        file.handle(logging.LogRecord("a", logging.INFO, "a.py", 1, "text", (), None))
        log.snapshot(run.second({PAGE: [0.01]}))
    with pytest.raises(ObswarmError, match="Is a directory"):
        log.finish(result_of(run.second({PAGE: [0.01]})))
    file.close()
    logged = capsys.readouterr().err
    assert logged == f"Error: --logfile {tmp_path}/log: Is a directory. The log is incomplete; the run goes on.\n"


def test_run_single_user_formats_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    handler: logging.StreamHandler[IO[str]] = stream_handler()  # type: ignore[assignment]
    logging.getLogger().handlers[:] = [handler]
    log_everything("\x1b[2J")
    assert_records(capsys.readouterr().err.replace("ERROR: failed", "WARNING: failed"), "\x1b[2J", "WARNING: ")


def test_tracebacks_that_nobody_catches_are_escaped() -> None:
    program = f"""
import gevent
from {escape_tracebacks.__module__} import escape_tracebacks
escape_tracebacks()
def fail():
    raise RuntimeError("first \\x1b[2J")
gevent.spawn(fail).join()
raise RuntimeError("second \\x1b[2J")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 1
    assert "RuntimeError: first \\x1b[2J\n" in done.stderr
    assert "RuntimeError: second \\x1b[2J\n" in done.stderr
    assert not UNFIT.search(done.stderr)
