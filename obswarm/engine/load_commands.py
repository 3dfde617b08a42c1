"""LoadCommands: the commands to a run about its load, its statistics and its annotations; the part of RunControl that
does not end it."""

import logging
from collections.abc import Mapping, Sequence

from gevent.event import Event

from obswarm import clock
from obswarm.engine.driver import LoadDriver
from obswarm.engine.output import Outputs
from obswarm.engine.progress import RunLog
from obswarm.record import Annotation, AnnotationKind
from obswarm.sanitize import clean_text

logger = logging.getLogger(__name__)


class LoadCommands:
    """Base of Run. Commands take effect at the next step of the driver, which they bring about."""

    def __init__(self, driver: LoadDriver, outputs: Outputs) -> None:
        self._driver = driver
        self._outputs = outputs
        self._log = RunLog()
        self._nudge = Event()
        """Set to make the driver apply the load at once."""
        self._reset_requested = False

    def annotate(self, kind: AnnotationKind, text: str) -> None:
        """Add an annotation to the run."""
        annotation = Annotation(clock.wall(), kind, clean_text(text))
        self._log.annotations.append(annotation)
        self._outputs.annotation(annotation)

    def set_load(self, users: int, spawn_rate: float, user_classes: tuple[str, ...] | None = None) -> None:
        if self._log.reason is not None:
            logger.warning("The load is not changed, as the run is over: %s.", self._log.reason.detail)
            return
        self._driver.executor.set_load(users, spawn_rate, clock.monotonic(), user_classes)
        self._nudge.set()

    @property
    def in_force(self) -> Mapping[str, str]:
        return self._driver.in_force

    @property
    def annotations(self) -> Sequence[Annotation]:
        return self._log.annotations

    def scale(self, share: float, by: str) -> None:
        self._driver.scale(share, by, clock.monotonic())
        self._nudge.set()

    def hold(self, by: str = "") -> None:
        self._driver.hold(by, clock.monotonic())
        self._nudge.set()

    def release(self, by: str = "") -> None:
        self._driver.release(by, clock.monotonic())
        self._nudge.set()

    def set_rate(self, rate: float) -> None:
        """Set the iterations per second of all user classes of the open model together, in place of the plan, until its
        end. Raises ObswarmError if there is no such class."""
        self._driver.executor.set_rate(rate, clock.monotonic())
        self._nudge.set()

    def reset_statistics(self) -> None:
        """Reset the statistics, in all outputs, at the next step of the load."""
        self._reset_requested = True
        self._nudge.set()
