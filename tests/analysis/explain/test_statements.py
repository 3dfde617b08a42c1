"""Statements whose time rose when a run broke are named, with the endpoint that goes with them."""

import math
from dataclasses import replace

from obswarm.analysis.explain import explain, explanation_document, sections
from obswarm.record import MetricKey, RunRecord
from tests.support.incidents import STARTED_S, SUBMIT, Incident, database_lock, healthy

UPDATE = MetricKey("db", "mysql", "statement: UPDATE `standings` SET `points` = ?", "number")
SELECT = MetricKey("db", "mysql", "statement: SELECT * FROM `problems` WHERE `id` = ?", "number")


def with_statements(record: RunRecord, begins_s: int = 60) -> RunRecord:
    """Updates take 8 s per second from then on, in the way of a mean over 15 s; reads always 0.4 s."""
    updates = tuple(
        (STARTED_S + second, 0.2 + 7.8 * min(1.0, max(0, second - begins_s) / 15))
        for second in range(1, record_s(record))
    )
    reads = tuple((STARTED_S + second, 0.4 + 0.02 * math.sin(second)) for second in range(1, record_s(record)))
    return replace(record, samples={**record.samples, UPDATE: updates, SELECT: reads})


def record_s(record: RunRecord) -> int:
    return len(record.intervals) + 1


def test_the_statement_whose_time_rose_is_named_with_the_endpoint_that_goes_with_it() -> None:
    found = explain(with_statements(Incident(database_lock).record()))
    (change,) = found.statements
    assert (change.key, change.endpoint) == (UPDATE, SUBMIT)
    assert (round(change.before, 2), round(change.after, 2)) == (0.2, 7.74), "medians: it is a mean over 15 s"
    assert abs(change.share - 7.74 / 8.14) < 0.01
    sentences = dict(sections(found))["Statements"]
    assert sentences == [
        "MySQL (db): UPDATE `standings` SET `points` = ?: 7.74 of them executed at a time, instead of 0.2 (39-fold); this"
        " is 95.1% of the time of the statements that were observed; it goes with POST /submit (rank correlation"
        f" {change.correlation:.2f})."
    ]
    (row,) = explanation_document(found)["statements"]
    assert (row["statement"], row["endpoint"]["name"]) == ("UPDATE `standings` SET `points` = ?", "/submit")


def test_statements_are_no_suspects_by_themselves() -> None:
    record = Incident(database_lock).record()
    plain, with_them = explain(record), explain(with_statements(record))
    # As texts, since a value of a finding may be NaN, which dataclasses of Python 3.13 do not take to be equal.
    assert repr(with_them.suspects) == repr(plain.suspects)


def test_a_run_that_did_not_break_has_none() -> None:
    assert explain(with_statements(Incident(healthy).record())).statements == ()
