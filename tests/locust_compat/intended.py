"""The differences that are intended, or not mended yet. A case fails when it differs in any other way, and when one of
these is not found any more.

Kinds of differences, which many cases have, are described by patterns. Differences of a single case are given a reason
here, and stand in full in the folder `intended`, where `make lab-locust` writes them. `documented` is a part of a line of
docs/coming-from-locust.md, where the difference stands for users.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.locust_compat.comparison import Difference
from tests.locust_compat.corpus import HERE


@dataclass(frozen=True)
class Intended:
    """One difference: where (a regular expression), what each program has (regular expressions, too, of which the second may
    refer to groups of the first), and why.

    `seen_in` is a case in which it has to be found. Others may differ in the same way if their names match `cases`.
    """

    where: str
    locust: str
    obswarm: str
    why: str
    seen_in: str
    documented: str = ""
    cases: str = ".*"

    def explains(self, case: str, difference: Difference) -> bool:
        if case != self.seen_in and re.fullmatch(self.cases, case) is None:
            return False
        where, locust, obswarm = difference
        pattern = f"(?:{self.locust})\n(?:{self.obswarm})"
        return (
            re.fullmatch(self.where, where) is not None
            and re.fullmatch(pattern, f"{locust}\n{obswarm}", re.S) is not None
        )


@dataclass(frozen=True)
class OfCase:
    """Why a case differs in its own way."""

    why: str
    documented: str


_ERRORS = (
    ("refused", "ConnectionRefusedError", "ConnectionRefused", "no connection to .*: Connection refused"),
    ("no such host", "gaierror", "ConnectError", r"the name '[\w.]+' cannot be resolved: .*"),
    ("/cut", "RemoteDisconnected", "ConnectionLost", ".* closed the connection without an answer"),
    ("/garbage", "BadStatusLine|HTTPParseError", "ProtocolError", ".* did not answer in HTTP: .*"),
    ("timeout", "ReadTimeout|RetriesExceeded", "ReadTimeout", r"nothing came from .* for [\d.]+s"),
)
"""Of failures without an answer: name of the request, type of the exception that Locust has, type and text of obswarm's."""


def _failures_without_an_answer() -> Iterator[Intended]:
    for name, theirs, ours, text in _ERRORS:
        why = f"{name}: the text says what happened, and to which connection."
        for where, locust, obswarm in (
            (
                "request_events",
                rf'(?P<before>.*"exception": ")({theirs}): .*(?P<after>", "response": .*)',
                rf"(?P=before){ours}: {text}(?P=after)",
            ),
            (
                "csv: failures: rows",
                rf"(?P<row>\w* \| [^|]* \| )({theirs})\(.*\) \| (?P<count>\d+)",
                rf"(?P=row)({ours}: )?{text} \| (?P=count)",
            ),
        ):
            yield Intended(
                where, locust, obswarm, why, seen_in="failures", documented="texts of failures without an answer"
            )


INTENDED = (
    Intended(
        where="csv: failures: columns",
        locust="Method,Name,Error,Occurrences,First Seen,Last Seen",
        obswarm="Method,Name,Error,Occurrences,First Seen,Last Seen,Example",
        seen_in="one_task",
        documented="a seventh column has an example",
        why="Error texts are the same for failures of one kind; the last column has one of them in full.",
    ),
    Intended(
        where="csv: exceptions: rows",
        locust=r"(?P<text>.*) \| (?P<count>\d+) \| with its lines",
        obswarm=r"\w+: \w+: (?P=text) \(.*:\d+\) \| (?P=count) \| with its lines",
        seen_in="exceptions_in_tasks",
        documented="user class, type, text and line",
        why="The message names the user class, the exception's type and the line.",
    ),
    Intended(
        where="events",
        locust="",
        obswarm=r'(report_to_master|worker_report) \| \{"client_id": "local", .*',
        seen_in="one_task",
        documented="`report_to_master`, `worker_report`",
        why="Data that a load test sends with reports arrives in a run without workers, too.",
    ),
    Intended(
        where="events",
        locust=r"user_error (?P<before>.*)\"user_instance\": \"a \w+\"}",
        obswarm=r"user_error (?P=before)\"user_instance\": \"a \w+\"}",
        seen_in="exceptions_in_tasks",
        documented="`user_instance` of `events.user_error`",
        why="`user_instance` is the user, as documented; Locust gives the TaskSet for exceptions of tasks.",
    ),
    Intended(
        where="csv: failures: rows",
        locust=r"(?P<row>\w* \| .* \| )\w+\((?P<quote>['\"]?)(?P<text>.*)(?P=quote)\) \| (?P<count>\d+)",
        obswarm=r"(?P=row)(\w+: )?(?P=text) \| (?P=count)",
        seen_in="catch_response",
        documented="Python's form of the exception",
        why="The text of the error, not its Python form.",
    ),
    Intended(
        where="request_events|said",
        locust=r"(?P<before>.*)LocustBadStatusCode: URL \S+: (?P<after>code=.*)",
        obswarm=r"(?P=before)LocustBadStatusCode: (?P=after)",
        seen_in="fast_failures",
        documented="`str()` of a `FastHttpUser`'s status failure",
        why="Failures of one kind have one text.",
    ),
    *_failures_without_an_answer(),
    Intended(
        where="events, order",
        locust=r".*",
        obswarm=r".*",
        seen_in="exception_in_on_start",
        cases="exception_in_on_start",
        documented="spawning at `-r 2000`",
        why="The first user has begun before the last one is there.",
    ),
    Intended(
        where=r"csv: (stats|failures): (rows|implausible)|csv: stats_history: total",
        locust=r".*",
        obswarm=r".*",
        seen_in="run_time",
        cases="runner_quit_in_task|stop_timeout_by_code|users_changed_while_running|stats_changes",
        documented="what happened last may be missing",
        why="Locust's CSV files lack what happened after their last interval; its JSON file has it.",
    ),
)

OF_CASES = {
    name: OfCase(why, documented)
    for names, why, documented in (
        (
            "catch_response_exception catch_response_exception_fast catch_response_error_raised",
            "A request that was made is counted.",
            "an exception in a `catch_response` block",
        ),
        (
            "rest rest_of_http_user",
            "Failures of one kind have one text, whatever the answer was.",
            "failures of `rest()`",
        ),
        (
            "failures",
            "An idempotent request on a kept connection that is closed before the answer is sent once more.",
            "a kept connection that is closed before the answer",
        ),
        ("fast_failures", "A failed response is false, and its body is text.", "a request without an answer"),
        ("exception_in_on_stop", "No exception goes unseen.", "an exception in `on_stop`"),
        ("host_with_path", "Two slashes are another path.", "a host that ends in a slash"),
        ("relative_url", "A path without a slash in front can mean one thing only.", "a path without a slash in front"),
        ("shape_with_run_time", "A limit that is given is a limit.", "a shape with `--run-time`"),
        ("no_host", "A run that cannot make a request does not start.", "no host anywhere"),
        ("nothing_answers", "Without any answer there is no result.", "no answer to any request"),
        (
            "spawning",
            "Bursts make response times that the target does not have.",
            "spawning at `-r 2000`",
        ),
        (
            "user_without_tasks tags_without_tasks",
            "Users without a task would be counted as load, and make none.",
            "a user class without tasks, beside others",
        ),
        ("reset_stats", "Listeners are told of each reset.", "fired whenever statistics are reset"),
        (
            "custom_argument_mistake-1",
            "The message about an unknown option knows the load test's own.",
            "listeners of `init_command_line_parser`",
        ),
        ("custom_events measured_block", "Listeners may name each argument of the event.", "`events.request.fire()`"),
        ("library", "The runner of a program's own run is a class of its own.", "`environment.runner` of a program"),
        (
            "responses fast_responses",
            "The bytes that came over the network are what a target sends.",
            "bytes of a compressed answer",
        ),
        ("run_time_seconds-1 run_time_seconds-2 parsed_options", "Durations are floats.", "durations are floats"),
        ("stats_views", "Texts of failures are those of the reports.", "failures in the CSV file"),
        (
            "fast_methods fast_names",
            "The URL of the event is the one that was requested.",
            "`url` of a `FastHttpUser`'s event",
        ),
        ("fast_redirects", "The text says where to.", "texts of failures without an answer"),
        (
            "listeners_that_fail",
            "What was not prepared is not measured.",
            "an exception in a listener of `test_start`",
        ),
        ("shape_with_classes", "A tick names the classes of all users.", "classes that a shape's tick"),
        # Not mended yet.
        ("environment_attributes", "The command has made its runner.", "`create_local_runner` and its like"),
        ("exit_code_of_sys_exit", "There is always a result.", "`sys.exit(5)` in a listener of `init`"),
        ("user_attributes", "Names from before version 1 are there as well.", "`Locust` from before version 1"),
    )
    for name in names.split()
}
"""Cases that differ in their own way."""


def file_of(case: str) -> Path:
    return HERE / "intended" / f"{case}.json"


def write(case: str, left: list[Difference]) -> None:
    """Write down the differences of a case of OF_CASES."""
    file_of(case).write_text(json.dumps(sorted(left), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def of_case(case: str) -> list[Difference]:
    """Return the differences of the case that no pattern describes."""
    if case not in OF_CASES:
        return []
    return [tuple(each) for each in json.loads(file_of(case).read_text(encoding="utf-8"))]


def unexplained(case: str, found: list[Difference]) -> list[Difference]:
    """Return the differences that no pattern describes, sorted."""
    return sorted(each for each in found if not any(entry.explains(case, each) for entry in INTENDED))


def not_found(case: str, found: list[Difference]) -> list[Intended]:
    """Return the patterns whose difference the case no longer has."""
    expected = [entry for entry in INTENDED if entry.seen_in == case]
    return [entry for entry in expected if not any(entry.explains(case, each) for each in found)]
