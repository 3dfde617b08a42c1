"""The exit code for the result of a run."""

from collections.abc import Sequence

from obswarm.api import InternalError
from obswarm.app.exit_codes import FAILURES, INCOMPLETE, INTERRUPTED, OK, REQUIREMENTS, STOPPED_BY_GUARD, USAGE
from obswarm.engine import RunResult
from obswarm.guards import RequirementResult
from obswarm.record import StopKind


def exit_code_of(
    result: RunResult, on_error: int, strict: bool = False, requirement_results: Sequence[RequirementResult] = ()
) -> int:
    """Return the exit code for a result; `on_error` is --exit-code-on-error."""
    if isinstance(result.error, InternalError):
        return INCOMPLETE
    if result.stop_reason.kind is StopKind.ERROR:
        return USAGE
    if result.stop_reason.kind in (StopKind.GUARD, StopKind.ALERT):
        return STOPPED_BY_GUARD
    if result.stop_reason.kind is StopKind.SIGNAL:
        return INTERRUPTED
    if (
        result.losses
        or result.stop_reason.kind is StopKind.LOST
        or is_incomplete(result)
        or (strict and result.saturated)
    ):
        return INCOMPLETE
    if result.was_never_answered:
        return INCOMPLETE
    if not all(each.met for each in requirement_results):
        return REQUIREMENTS
    if result.final.total.failures or result.final.exceptions:
        return on_error
    return OK


def is_incomplete(result: RunResult) -> bool:
    """Whether a requested output is incomplete: a file, the summary, the record in the store."""
    return any(failed.required for failed in result.failed_outputs)


def exit_code_with(code: int, result: RunResult, on_error: int) -> int:
    """Return the exit code of another process, or INCOMPLETE if that is milder and outputs of this process failed."""
    mild = (OK, REQUIREMENTS, FAILURES, on_error)
    return INCOMPLETE if is_incomplete(result) and code in mild else code
