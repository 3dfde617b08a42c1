"""A short run with a fault at one writing place, and what has to be true of it all the same."""

import csv
import errno
import json
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from obswarm.store import Store, read_run
from tests.support.faulty import Ended, FaultyProgram
from tests.support.writing_places import PACKAGE

ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EMFILE", "EPIPE", "EROFS", "EACCES")}

LOADTEST = """
from pathlib import Path
from obswarm import User, constant, events, task

class Visitor(User):
    wait_time = constant(0.005)
    fired = 0

    @task
    def page(self):
        Visitor.fired += 1
        error = ValueError("no such page") if Visitor.fired % 10 == 0 else None
        self.environment.events.request.fire(
            request_type="GET", name="/page", response_time=5.0, response_length=3, exception=error
        )
        if Visitor.fired % 20 == 0:
            raise RuntimeError("of the load test")

@events.quitting.add_listener
def tell(**kwargs):
    # Nothing was fired in the process that only has workers.
    if Visitor.fired or not Path("fired").exists():
        Path("fired").write_text(str(Visitor.fired))
"""

NEVER_IN_A_RUN = {
    "api/debug.py": "run_single_user prints for a debugger",
    "cli/alerts.py": "a command",
    "cli/compare.py": "a command",
    "cli/ctl.py": "a command",
    "cli/dashboards.py": "a command",
    "cli/explain.py": "a command",
    "cli/find_limit.py": "prints after a run, which is written before",
    "cli/demo.py": "prints around a run, which is written before",
    "cli/config.py": "a command",
    "cli/master.py": "executes a run as cli/run.py does",
    "cli/run_command.py:LoadTestCommand.format_epilog": "help",
    "cli/run_command.py:listed": "lists, and makes no run",
    "cli/run_command.py:_print_task_ratio": "lists, and makes no run",
    "cli/run_command.py:_print_tasks": "lists, and makes no run",
    "cli/process.py": "after everything",
    "cli/tracebacks.py": "the traceback of an exception that nothing has caught",
    "cli/report.py": "a command",
    "cli/limit_table.py": "a command",
    "cli/run.py:run:WebSession(config, TerminalDisplay).execute": "makes runs",
    "cli/runs.py": "a command",
    "cli/runs_show.py": "a command",
    "cli/up.py": "a command",
    "cli/migrate.py": "a command",
    "cli/stack.py": "commands",
    "cli/targets.py": "a command",
    "web/mcp.py": "a command",
    "demo/": "the embedded target, a program of its own",
    "stack/": "commands of the stack",
    "store/transfer.py": "commands: export and import",
    "http/body_buffer.py": "no stream: a body gathered in memory",
    "http/codings.py": "no stream: a decompressor in memory",
    "http/transport.py": "the socket of a user, whose failure is a request's",
    "http/tls.py": "the socket of a user, whose failure is a request's",
    "metrics/exposition.py": "no stream: a compressor in memory",
    "cluster/worker/benchmark.py": "the loopback of a measurement before the run",
}
"""By the beginning of a place."""

TESTED_ELSEWHERE = {
    "app/build.py:recover_run": "tests/cluster/test_journal.py, tests/e2e/test_fleet_recovery.py: before a run",
    "app/explaining.py": "tests/app/test_explaining.py: whatever happens to its process is a reason",
    "app/question_process.py": "the same",
    "app/stored_process.py": "tests/integration/test_page.py: a process of its own, whose failure is a response",
    "app/locust_pages.py": "a text in memory",
    "app/service.py": "tests/e2e/test_service.py: the files of an order",
    "app/idle_alerts.py": "tests/e2e/test_service.py: alerts between two runs",
    "app/notices.py": "tests/cli/test_pending_run.py: notices survive a full disk",
    "app/pending_run.py": "tests/cli/test_pending_run.py: an order on a full disk",
    "app/service_page.py": "tests/app/test_submitting.py: sessions that cannot be written",
    "app/submitting.py": "tests/app/test_submitting.py: a process of its own, whose failure is a response",
    "app/submitting_process.py": "the same",
    "app/service_process.py": "tests/cli/test_service_process.py: a process and its watcher, outside of a run",
    "app/unfinished.py": "tests/cli/test_service.py: what is written of a run that nobody has fetched, after it",
    "web/run_request.py": "tests/web/test_runs.py: the files of an order, before a run",
    "cluster/master/journal.py": "tests/cluster/test_journal.py: each write and rename",
    "feeds/server.py": "calls of feeds/journal.py",
    "feeds/journal.py": "tests/feeds/test_server.py: the journal of a master, which the run continues without",
    "feeds/rows.py": "tests/feeds/test_rows.py: the rows of a query, before a run",
    "cluster/bundle.py": "tests/cluster/test_bundle.py: a worker that cannot unpack",
    "cluster/worker/connection.py": "tests/cluster/test_bundle.py: the same, and its folder",
    "cluster/reexec.py": "flushes before a process becomes a new one",
    "cluster/wire/transport.py": "tests/integration/cluster: what ZeroMQ cannot send is dropped, and repeated by the protocol",
    "cluster/processes.py": "make lab-faults: runs with worker processes",
    "cli/worker.py": "its log, on the standard error that the parent reads",
    "cli/text_console.py": "tests/outputs/test_terminal.py: what a load test prints while a display is live",
    "cli/worker_process.py": "makes a handler of the standard error",
    "locust/main.py:main": "flushes before a process becomes a new one",
    "locust/contrib/csv_request_logger.py": "called by a load test, whose exception it is",
    "locust/stats_csv.py": "called by a load test, whose exception it is",
    "locust/stats.py:save_stats_json": "called by a load test, whose exception it is",
    "locust/contrib/postgres.py:PostgresClient.execute_query:self.connection.execute": "a request to the target",
    "log_format.py": "makes a handler of the standard error",
    "streams.py:LogFile._open": "tests/e2e/test_failing_outputs.py: before a run",
    "report/grafana.py": "tests/e2e/test_guards.py: an annotation that cannot be sent is a warning",
    "report/csv_files.py:CsvFiles._open_history:history.truncate": "tests/report/test_csv_files.py: a run that goes on",
    "metrics/remote_write.py": "tests/integration/metrics/test_remote_write.py: what is not taken is counted as lost",
    "targets/prometheus_api.py": "tests/integration/targets/test_odd_answers.py: a query is posted, and nothing is written",
    "streams.py:open_standard_streams": "tests/e2e/test_failing_outputs.py: started without standard streams",
    "streams.py:discard": "tests/e2e/test_failing_outputs.py: after a standard stream has failed",
    "streams.py:write_to_stream:discard": "the same",
    "app/outputs.py:JsonResult.finish:write_to_stream": "tests/e2e/test_failing_outputs.py: JSON on standard output",
    "app/outputs.py:StatsJson.finish:write_to_stream": "the same",
    "app/recording.py:_temporary_store": "tests/app/test_recording.py: before a run",
    "engine/loadtest_source.py": "tests/engine/test_loadtest_source.py: before a run",
    "streams.py:_print:write_to_stream": "commands' results on standard output",
    "cli/summary.py:print_summary": "lines of the summary that only some runs have; rendered before any is written",
    "store/store.py:Store.remove": "what is done after a failure",
    "store/writer.py:_Record._continue": "a run that is continued; as _begin",
    "store/writer.py:_Record._commit": "what is done after a failure",
    "store/schema.py:_migrate": "what is done after a failure",
}


def reason_not_to_try(place: str) -> str | None:
    """Why a place that a plain run does not reach needs no fault there; None when nobody has thought of it."""
    for beginning, reason in (*NEVER_IN_A_RUN.items(), *TESTED_ELSEWHERE.items()):
        if place.startswith(beginning):
            return reason
    return None


def is_possible(place: str, error: str) -> bool:
    """Only what is written to has another end that may have gone."""
    call = place.rpartition(":")[2]
    return error != "EPIPE" or any(word in call for word in ("write", "flush", "print", "send", "post"))


def run_with_fault(
    program: FaultyProgram,
    folder: Path,
    place: str = "",
    error: int = 0,
    after: int = 0,
    workers: int = 0,
    older: Path | None = None,
) -> Ended:
    """`older` is a folder in which a run has been made: it is in the store of this one, which removes it."""
    folder.mkdir(parents=True)
    if older is not None:
        shutil.copytree(older / "store", folder / "store")
        (folder / "obswarm.toml").write_text("keep_runs = 1\n")
    (folder / "loadtest.py").write_text(LOADTEST)
    options = [
        *("run", "loadtest.py", "-t", "0.25s", "-u", "2", "-r", "200", "--workers", workers, "--headless"),
        *("--web-port", "0", "--exit-code-on-error", "0", "--require", "max < 60s"),
        *("--json-file", "statistics", "--html", "report.html"),
        *("--json", "result.json", "--csv", "csv", "--csv-full-history", "--junit", "junit.xml", "--store", "store"),
    ]
    return program.run(folder, options, place, error, after)


def complaints(ended: Ended, folder: Path) -> Iterator[str]:
    """What is wrong with how a run with a fault has ended; nothing, if all is well."""
    if str(PACKAGE) in ended.stderr:
        yield "a traceback of ours"
    if ended.code == 2:
        if "Error: " not in ended.stderr:
            yield "exit code 2 without a sentence"
        text = (folder / "result.json").read_text() if (folder / "result.json").exists() else ""
        if text and json.loads(text)["totals"]["requests"]:
            yield "exit code 2 after there was load"
        return
    if "which ends the run" in ended.stderr:
        document = json.loads((folder / "result.json").read_text())
        if (ended.code, document["stop_reason"]["kind"]) != (4, "error"):
            yield f"a part of obswarm failed, and the exit code is {ended.code}"
        return
    named = [line for line in ended.stderr.splitlines() if "failed and is incomplete" in line]
    if not (folder / "fired").exists():
        yield f"the run came to no conclusion (exit code {ended.code})"
        return
    fired = int((folder / "fired").read_text())
    # On a busy machine the run may be over before its first request: then its requirement is not met.
    if ended.code not in (0 if fired else 5, 4):
        yield f"the exit code is {ended.code} after {fired} requests"
    for name, check in CHECKS.items():
        wrong = check(ended, folder, fired)
        is_named = any(f"{name} " in line for line in named)
        if wrong is not None and not is_named:
            yield f"{name}: {wrong}, and nobody says so"
    lost = [line for line in named if "The progress on standard error" not in line]
    if bool(lost) != (ended.code == 4):
        yield f"the exit code is {ended.code} with {len(lost)} outputs that failed"
    if ended.stdout.count("NOT COMPLETE") > len(named):
        yield "the summary names what the log does not"


def _json(ended: Ended, folder: Path, fired: int) -> str | None:
    path = folder / "result.json"
    text = path.read_text() if path.exists() else ""
    if not text and '{\n  "run_id"' in ended.stdout:
        text = ended.stdout[ended.stdout.index('{\n  "run_id"') :]
    try:
        document = json.JSONDecoder().raw_decode(text)[0]
    except ValueError as error:
        return f"no JSON: {error}"
    return None if document["totals"]["requests"] == fired else f"{document['totals']['requests']} of {fired} requests"


def _statistics(ended: Ended, folder: Path, fired: int) -> str | None:
    try:
        entries = json.loads((folder / "statistics.json").read_text())
    except (OSError, ValueError) as error:
        return str(error)
    counted = sum(each["num_requests"] for each in entries)
    return None if counted == fired else f"{counted} of {fired} requests"


def _html(ended: Ended, folder: Path, fired: int) -> str | None:
    path = folder / "report.html"
    return None if path.exists() and path.read_text().rstrip().endswith("</html>") else "no whole report"


def _summary(ended: Ended, folder: Path, fired: int) -> str | None:
    return None if "ended after" in ended.stdout else "no summary"


def _csv(ended: Ended, folder: Path, fired: int) -> str | None:
    try:
        with open(folder / "csv_stats.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        with open(folder / "csv_stats_history.csv", newline="") as file:
            history = list(csv.DictReader(file))
    except OSError as error:
        return str(error)
    if not rows or not history:
        return "an empty file"
    counts = {int(rows[-1]["Request Count"]), int(history[-1]["Total Request Count"])}
    return None if counts == {fired} else f"{counts} of {fired} requests"


def _junit(ended: Ended, folder: Path, fired: int) -> str | None:
    try:
        suite = ElementTree.parse(folder / "junit.xml").getroot()
    except (OSError, ElementTree.ParseError) as error:
        return str(error)
    return None if suite.get("tests") == "1" else "no requirement in it"


def _store(ended: Ended, folder: Path, fired: int) -> str | None:
    try:
        with Store(folder / "store" / "runs.sqlite") as store:
            run = max(store.runs(), key=lambda each: each.started_s)
            record = read_run(store, run)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    counted = sum(stats.requests for stats in record.endpoints.values())
    return None if run.ended_s is not None and counted == fired else f"{counted} of {fired} requests"


def _report(ended: Ended, folder: Path, fired: int) -> str | None:
    found = sorted((folder / "store" / "reports").glob("*.html"))
    return None if found and found[-1].read_text().rstrip().endswith("</html>") else "no whole report"


CHECKS = {
    "--json result.json": _json,
    "The summary": _summary,
    "--csv csv": _csv,
    "--junit junit.xml": _junit,
    "The run store": _store,
    "The report": _report,
    "--json-file statistics": _statistics,
    "--html report.html": _html,
}
"""By the names under which they are said to have failed."""
