"""Outputs of a run: the base class of displays, files, exporters and others, and the isolation of their failures."""

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
    """The part of a run that its outputs may use. `run_id` may be empty until another process has started the run."""

    @property
    def run_id(self) -> str: ...

    def stop(self, reason: StopReason) -> None: ...

    def abort(self, reason: StopReason) -> None: ...


@dataclass(frozen=True, slots=True)
class OutputParams:
    """The argument with which the entry point of a third party's output is called."""

    argument: str
    """The text after `=` in `--output NAME=ARGUMENT`; empty without one."""

    option: str
    """`--output NAME`, for the output's `name`."""

    configuration: Mapping[str, Any]
    """The options of the run that were given, by name, without secrets."""


class Output:
    """Base class of outputs of a run. Override the hooks you need; those of this class do nothing.

    Hooks are called one after the other by the greenlet that drives the run, so they must not block for long. An
    exception of a hook is logged once under the output's `name` and listed in the result; it affects neither the run
    nor other outputs.
    """

    required = True
    """Whether the result is incomplete (exit code 4) without this output."""

    @property
    def name(self) -> str:
        """Name for messages: the option that requested the output, or a few words."""
        return type(self).__name__

    def start(self, run: RunHandle) -> None:
        """Called before the run starts. An ObswarmError prevents the run, and is shown to the user."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Called after each second of the run. Must not modify the contents of the snapshot."""

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        """Called before the first snapshot if an earlier process started the run: with its statistics, at the present
        wall time, and all annotations so far."""

    def annotation(self, annotation: Annotation) -> None:
        """Called for each annotation of the run."""

    def finish(self, result: RunResult) -> None:
        """Called when the run has ended; `result.failed_outputs` lists the outputs that have failed so far."""

    def close(self) -> None:
        """Called last, after `finish` of all outputs, or without it if there was no run. May block."""

    def stop_waiting(self) -> None:
        """Called when the user interrupts the end of the run: `close` has to return as soon as possible. Must not
        block. May be called before `close`, during `close`, and more than once."""


class LingeringOutput(Output):
    """Base class of outputs whose end takes time, such as a final push or scrape. Override `linger` instead of `close`.

    `linger_s` is the maximum time for it, in seconds.
    """

    def __init__(self, linger_s: float) -> None:
        self._linger_s = linger_s
        self._lingering: gevent.Greenlet | None = None
        self._linger_failure: BaseException | None = None

    def linger(self, longest_s: float) -> None:
        """Complete the output within `longest_s` seconds. Called once, in a greenlet that is killed if the user
        interrupts the end of the run; `longest_s` is 0 if that has happened before."""
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
    """The outputs of a run. An exception of one does not affect the others.

    All hooks are called in the order of the outputs.
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
        """Start all outputs. Raises the first ObswarmError of an output."""
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
        """Close each output once; a further call closes those that an interrupted call has left."""
        for output in self._outputs:
            if id(output) not in self._closed:
                self._closed.add(id(output))
                self._call(output, output.close)

    def stop_waiting(self) -> None:
        for output in self._outputs:
            self._call(output, output.stop_waiting)

    def complete(self, result: RunResult) -> RunResult:
        """Return the result with all outputs that have failed so far."""
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
        # GreenletExit and KeyboardInterrupt are for the caller; a timeout or exit is an output's failure.
        except (Exception, gevent.Timeout, SystemExit) as error:
            self._note(output, error)

    def _note(self, output: Output, error: BaseException) -> None:
        if id(output) in self._failed:
            return
        name = clean_text(output.name, _MAX_NAME_LENGTH)
        reason = reason_of(error)
        self._failed[id(output)] = FailedOutput(name, reason, output.required)
        logger.error("%s failed and is incomplete: %s. The run continues.", name, reason)
        if not isinstance(error, OSError | ObswarmError):
            logger.debug("Traceback of the failure of %s:", name, exc_info=error)
