"""Outputs of a run: the base class of everything that shows or writes it, and the fence between them."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import gevent

from obswarm.engine.control import StopReason
from obswarm.engine.result import FailedOutput, RunResult
from obswarm.errors import ObswarmError, reason_of
from obswarm.greenlets import Supervisor
from obswarm.record import Annotation, Snapshot
from obswarm.sanitize import clean_text

logger = logging.getLogger(__name__)

_MAX_NAME_LENGTH = 500


class RunHandle(Protocol):
    """The run, as far as its outputs are concerned. `run_id` may be empty until another process has begun it."""

    @property
    def run_id(self) -> str: ...

    def stop(self, reason: StopReason) -> None: ...

    def abort(self, reason: StopReason) -> None: ...


@dataclass(frozen=True, slots=True)
class OutputParams:
    """What the output of a third party is made from: its entry point is called with it."""

    argument: str
    """The text after `=` in `--output NAME=ARGUMENT`; empty without one."""

    option: str
    """`--output NAME`, for the output's `name`."""

    configuration: Mapping[str, Any]
    """The options of the run that are not at their defaults, by name; secrets are left out."""


class Output:
    """Base of everything that shows or writes a run. Override the hooks you need; those here do nothing.

    Hooks are called one after the other by the greenlet that drives the run, so none may wait for long. What a hook
    raises is logged once under the output's `name`, kept in the result, and hurts neither the run nor other outputs.
    """

    required = True
    """Whether the result is incomplete (exit code 4) without this output."""

    @property
    def name(self) -> str:
        """What people call it: the option that asked for it, or a few words."""
        return type(self).__name__

    def start(self, run: RunHandle) -> None:
        """The run is about to start. An ObswarmError that is raised here is for the person at the keyboard, and
        keeps the run from starting."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """A second of the run is over. Must not change what the snapshot refers to."""

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        """An earlier process began the run: what it had measured, at the present wall time, and all annotations so far.
        Comes before the first interval."""

    def annotation(self, annotation: Annotation) -> None:
        """The run was annotated."""

    def finish(self, result: RunResult) -> None:
        """The run has ended; `result.failed_outputs` has what has failed so far."""

    def close(self) -> None:
        """The last call, after all outputs have finished, or without that when there was no run. May wait."""

    def stop_waiting(self) -> None:
        """The user has interrupted the end of the run: let `close` return as soon as possible. Must not wait. May be
        called before `close`, while it runs, and more than once."""


class LingeringOutput(Output):
    """Base of an output whose end takes time: a last push or scrape. Override `linger` in place of `close`.

    `linger_s` is the longest time for it, in seconds.
    """

    def __init__(self, linger_s: float) -> None:
        self._linger_s = linger_s
        self._lingering: gevent.Greenlet | None = None
        self._linger_failure: BaseException | None = None

    def linger(self, longest_s: float) -> None:
        """Complete the output within that time, in seconds. Called once, in a greenlet that is killed when the user
        interrupts the end of the run; 0 if that has happened before."""
        raise NotImplementedError

    def close(self) -> None:
        self._lingering = Supervisor(self._on_linger_failed).spawn(
            f"The end of {self.name}", self.linger, self._linger_s
        )
        self._lingering.join()
        if self._linger_failure is not None:
            raise self._linger_failure

    def stop_waiting(self) -> None:
        self._linger_s = 0.0
        if self._lingering is not None:
            self._lingering.kill(block=False)

    def _on_linger_failed(self, what: str, error: BaseException) -> None:
        self._linger_failure = error


class Outputs:
    """The outputs of one run, fenced off from one another: whatever one raises, at any moment, the others go on.

    They are called in their order; `close` in the same.
    """

    def __init__(self, outputs: Iterable[Output] = ()) -> None:
        self._outputs = list(outputs)
        self._failed: dict[int, FailedOutput] = {}
        self._closed: set[int] = set()

    def __iter__(self) -> Iterator[Output]:
        return iter(self._outputs)

    @property
    def failed(self) -> tuple[FailedOutput, ...]:
        """Outputs that are missing or incomplete, in the order in which they failed."""
        return tuple(self._failed.values())

    def start(self, run: RunHandle) -> None:
        """Raises what the first output raises that cannot be there at all, as an ObswarmError."""
        for output in self._outputs:
            self._call(output, output.start, run, let_through=(ObswarmError,))

    def snapshot(self, snapshot: Snapshot) -> None:
        for output in self._outputs:
            self._call(output, output.snapshot, snapshot)

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        for output in self._outputs:
            self._call(output, output.restored, snapshot, annotations)

    def annotation(self, annotation: Annotation) -> None:
        for output in self._outputs:
            self._call(output, output.annotation, annotation)

    def finish(self, result: RunResult) -> None:
        for output in self._outputs:
            self._call(output, output.finish, self.complete(result))

    def close(self) -> None:
        """Close each once, however often this is called; a call after one that was broken off closes the rest."""
        for output in self._outputs:
            if id(output) not in self._closed:
                self._closed.add(id(output))
                self._call(output, output.close)

    def stop_waiting(self) -> None:
        for output in self._outputs:
            self._call(output, output.stop_waiting)

    def complete(self, result: RunResult) -> RunResult:
        """The result with what has failed until now."""
        return replace(result, failed_outputs=(*result.failed_outputs, *self.failed))

    def _call(
        self,
        output: Output,
        hook: Callable[..., None],
        *arguments: Any,
        let_through: tuple[type[BaseException], ...] = (),
    ) -> None:
        try:
            hook(*arguments)
        except let_through:
            raise
        # GreenletExit and KeyboardInterrupt mean the caller. Not so a time-out or an exit that an output did not catch.
        except (Exception, gevent.Timeout, SystemExit) as error:
            self._note(output, error)

    def _note(self, output: Output, error: BaseException) -> None:
        if id(output) in self._failed:
            return
        name = clean_text(output.name, _MAX_NAME_LENGTH)
        reason = reason_of(error)
        self._failed[id(output)] = FailedOutput(name, reason, output.required)
        logger.error("%s failed and is incomplete: %s. Everything else goes on.", name, reason)
        if not isinstance(error, OSError | ObswarmError):
            logger.debug("This is how %s failed:", name, exc_info=error)
