"""The exit code that a result stands for."""

from dataclasses import replace

import pytest

from obswarm.api import InternalError
from obswarm.app import exit_codes
from obswarm.app.exit_status import exit_code_of, exit_code_with
from obswarm.engine import FailedOutput, RunResult, StopReason, WorkerLoss
from obswarm.guards import RequirementResult, parse_requirement
from obswarm.record import StopKind
from tests.support.recorded import PAGE, MadeUpRun, result_of

LOSS = WorkerLoss("w", "killed", 1.0, 3)
MISSING_FILE = FailedOutput("--csv shop", "the disk is full")
MISSING_EXTRA = FailedOutput("Grafana", "is not there", required=False)


def result(failed: bool = False, answered: bool = True) -> RunResult:
    run = MadeUpRun([])
    snapshot = run.second({PAGE: [0.1]} if answered else {}, [PAGE] if failed else [])
    return result_of(snapshot)


def stopped(kind: str) -> RunResult:
    return replace(result(), stop_reason=StopReason(StopKind(kind), "because"))


def requirement(met: bool) -> RequirementResult:
    return RequirementResult(parse_requirement("p95 < 1s"), met, 0.5)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("time", 0), ("user", 0), ("error", 2), ("guard", 3), ("alert", 3), ("signal", 130), ("lost", 4)],
)
def test_why_a_run_stopped_decides(kind: str, code: int) -> None:
    assert exit_code_of(stopped(kind), on_error=1) == code


@pytest.mark.parametrize("on_error", [0, 1, 9])
def test_failures_give_the_code_that_was_asked_for(on_error: int) -> None:
    assert exit_code_of(result(failed=True), on_error) == on_error
    assert exit_code_of(result(), on_error) == exit_codes.OK


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"losses": (LOSS,)}, exit_codes.INCOMPLETE),
        ({"failed_outputs": (MISSING_FILE,)}, exit_codes.INCOMPLETE),
        ({"failed_outputs": (MISSING_EXTRA,)}, exit_codes.OK),
        ({"error": InternalError("a fault of obswarm")}, exit_codes.INCOMPLETE),
        ({"saturated": True}, exit_codes.OK),
    ],
)
def test_what_is_missing_in_a_result_makes_it_incomplete(changed: dict[str, object], code: int) -> None:
    assert exit_code_of(replace(result(), **changed), on_error=1) == code


def test_a_saturated_generator_counts_only_when_that_is_wanted() -> None:
    saturated = replace(result(), saturated=True)
    assert exit_code_of(saturated, 1) == exit_codes.OK
    assert exit_code_of(saturated, 1, strict=True) == exit_codes.INCOMPLETE


def test_requirements_come_before_failures_and_after_what_is_missing() -> None:
    unmet = [requirement(True), requirement(False)]
    assert exit_code_of(result(failed=True), 1, requirement_results=unmet) == exit_codes.REQUIREMENTS
    assert exit_code_of(result(), 1, requirement_results=[requirement(True)]) == exit_codes.OK
    assert exit_code_of(replace(result(), losses=(LOSS,)), 1, requirement_results=unmet) == exit_codes.INCOMPLETE
    assert exit_code_of(stopped("guard"), 1, requirement_results=unmet) == exit_codes.STOPPED_BY_GUARD


@pytest.mark.parametrize(
    ("code", "with_missing_file"),
    [(0, 4), (1, 4), (9, 4), (5, 4), (2, 2), (3, 3), (4, 4), (130, 130)],
)
def test_a_clients_missing_file_makes_a_good_run_of_a_service_incomplete(code: int, with_missing_file: int) -> None:
    missing = replace(result(), failed_outputs=(MISSING_FILE,))
    assert exit_code_with(code, missing, on_error=9) == with_missing_file
    assert exit_code_with(code, result(), on_error=9) == code
