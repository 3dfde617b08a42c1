"""TestService: what the REST API asks of the process that makes runs. Implemented by obswarm.app."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from obswarm.api import ObswarmError
from obswarm.record import Snapshot
from obswarm.web.rest.documents import (
    ExplanationDocument,
    LoadTestDocument,
    RequirementRow,
    Status,
    StoredRun,
    StoredRuns,
    Targets,
    TargetSamples,
)
from obswarm.web.rest.panels import Panels
from obswarm.web.rest.requests import ChangeLoad, Start


class NotPossible(ObswarmError):
    """The command is not possible in the present state."""


class NotFound(ObswarmError):
    """There is no such run, report or table."""


class Unavailable(ObswarmError):
    """The server could not do it now, for example in time."""


class TestService(Protocol):
    """The runs of a process. Commands do not wait for their effect. All methods raise ObswarmError for wrong
    parameters, NotPossible and NotFound."""

    def status(self) -> Status: ...

    def start(self, request: Start) -> str:
        """Start a run; returns its id."""
        ...

    def change_load(self, request: ChangeLoad) -> None: ...

    def hold(self) -> None: ...

    def release(self, by: str | None) -> None:
        """Release the holds of a guard or an alert of that name; None: that of `hold`."""

    def stop(self, reason: str, abort: bool) -> None: ...

    def reset(self) -> None: ...

    def annotate(self, text: str) -> None: ...

    def loadtest(self) -> LoadTestDocument: ...

    def panels(self) -> Panels:
        """Return the panels that the load test adds to the page."""
        ...

    def requirements(self, snapshot: Snapshot) -> list[RequirementRow]:
        """Evaluate the requirements of the run on a snapshot."""
        ...

    def targets(self) -> Targets: ...

    def target_series(self, metrics: Sequence[str], since_s: float) -> list[TargetSamples]: ...

    def runs(self, search: str, tag: str, limit: int, before: str) -> StoredRuns: ...

    def run(self, run_id: str) -> StoredRun: ...

    def result(self, run_id: str) -> Mapping[str, Any]: ...

    def report(self, run_id: str) -> str:
        """Return the report of a run as HTML."""
        ...

    def csv(self, run_id: str, table: str) -> str: ...

    def explain(self, run_id: str) -> ExplanationDocument: ...

    def compare(self, before: str, after: str) -> Mapping[str, Any]: ...
