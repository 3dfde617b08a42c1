"""Why a query gives no series."""

import pytest

from obswarm.targets.absence import KnownTargets, ReasonCache, metrics_in_query, reason_for_no_series

REFUSED = "Connection refused"
NAMES = ["mysql_up", "mysql_global_status_threads_running", "pg_up", "pg_locks_count"]
THERE = "the metrics exist, but none of their series matches the query"


def reason(query: str, down: dict[str, str] | None = None, jobs: tuple[str, ...] = ("db", "cache")) -> str:
    """Targets are up but for those of `down`; `db` has mysql_up, or had it while it is down, `cache` has pg_up."""
    down = down or {}
    known = KnownTargets(
        {job: down.get(job, "") for job in jobs},
        {
            name: [job for job in having if job in jobs and job not in down]
            for name, having in {"mysql_up": ["db"], "pg_up": ["cache"]}.items()
        },
        {"mysql_up": ["db"], "pg_up": ["cache"]},
    )
    return reason_for_no_series(query, known, lambda name: NAMES)


@pytest.mark.parametrize(
    ("query", "down", "expected"),
    [
        # A target that is down.
        ("max(mysql_up)", {"db": REFUSED}, "the target db is down: Connection refused"),
        ('mysql_up{job="db"}', {"db": REFUSED}, "the target db is down: Connection refused"),
        ('mysql_up{job=~"d."}', {"db": REFUSED}, "the target db is down: Connection refused"),
        ("rate(mysql_up[5s]) / pg_up", {"db": REFUSED}, "the target db is down: Connection refused"),
        ("pg_up / sum(rate(mysql_up[5s]))", {"db": REFUSED}, "the target db is down: Connection refused"),
        ('pg_locks_count{job="db"}', {"db": "HTTP 404"}, "the target db is down: HTTP 404"),
        ("x", {"db": REFUSED, "cache": REFUSED}, "the targets db, cache are down: Connection refused"),
        ("x", {"db": REFUSED, "cache": "late"}, "the targets db (Connection refused), cache (late) are down"),
        # Another one is.
        ("max(mysql_up)", {"cache": REFUSED}, THERE),
        (
            "max(other)",
            {"cache": REFUSED},
            "no target has a metric other; the target cache is down: Connection refused",
        ),
        # None is.
        ("max(mysql_upp)", {}, "no target has a metric mysql_upp (did you mean mysql_up?)"),
        ('mysql_upp{job="db"}', {}, "the target db has no metric mysql_upp (did you mean mysql_up?)"),
        ('pg_up{job="db"}', {}, "the target db has no metric pg_up"),
        ("nothing_like_that", {}, "no target has a metric nothing_like_that"),
        ('mysql_up{job="bd"}', {}, "no target is called bd"),
        ('mysql_up{job="cash"}', {}, "no target is called cash"),
        ('mysql_up{job="cachee"}', {}, "no target is called cachee (did you mean cache?)"),
        ('mysql_up{database="x"}', {}, THERE),
        ("mysql_up - pg_up", {}, THERE),
        ('{__name__="mysql_upp"}', {}, "no target has a metric mysql_upp (did you mean mysql_up?)"),
        ('{__name__=~"mysql.*"}', {"db": REFUSED}, "the target db is down: Connection refused"),
        # What says nothing.
        ('{__name__=~"mysql.*"}', {}, ""),
        ("1", {}, ""),
        ("not promql", {}, ""),
        ('mysql_up{job=~"(?<x>a)("}', {}, ""),
    ],
)
def test_the_reason_names_the_target_or_the_metric(query: str, down: dict[str, str], expected: str) -> None:
    assert reason(query, down) == expected


@pytest.mark.parametrize(
    ("query", "own", "expected"),
    [
        ("other", [], "no target has a metric other"),
        ("other", ["cache"], "no target has a metric other; the target cache is down: late"),
        ("mysql_up", [], "the target db is down: Connection refused"),
        ('other{job="db"}', [], "the target db is down: Connection refused"),
        ('other{job=~"db|odd"}', [], "the targets db (Connection refused), odd (HTTP 404) are down"),
        ('other{job!="app"}', ["cache"], "the target cache is down: late"),
        ('other{job!="app"}', [], "no target has a metric other"),
        ('other{job=~".*"}', [], "no target has a metric other"),
    ],
)
def test_other_targets_than_the_runs_own_are_not_reported_as_down(query: str, own: list[str], expected: str) -> None:
    down = {"db": REFUSED, "app": "", "cache": "late", "odd": "HTTP 404"}
    assert reason_for_no_series(query, KnownTargets(down, {}, {"mysql_up": ["db"]}, own), lambda name: ()) == expected


def test_a_single_target_is_named() -> None:
    assert reason("other", jobs=("db",)) == "the target db has no metric other"


def test_without_known_targets_there_is_no_reason() -> None:
    assert reason_for_no_series('a{job="b"}', KnownTargets({}, {}, {}), lambda name: ()) == ""


def test_reasons_contain_no_secrets_or_control_characters_of_a_query() -> None:
    assert "hunter2" not in reason('x{job="http://me:hunter2@db/"}')
    assert "\x1b" not in reason('x{job="\x1b[2J"}')


def test_metric_names_in_a_query() -> None:
    assert metrics_in_query('a / sum(rate(b{c="d"}[5s])) + {__name__="e"} + {__name__=~"f"}') == {"a", "b", "e"}


def test_a_reason_is_searched_for_at_an_interval() -> None:
    reasons = ReasonCache(5)
    assert [reasons.is_due("q", now) for now in (0.0, 1.0, 4.9, 5.0, 5.1)] == [True, False, False, True, False]
    assert reasons.get("q") == ""
    reasons.keep("q", "why")
    assert reasons.get("q") == "why"
    assert reasons.is_due("q", 10.0)
    assert (reasons.get("q"), reasons.get("other")) == ("why", "")
