"""Delay of a run's start while alerts from before the run are firing."""

import logging
from collections.abc import Callable
from typing import Protocol

import gevent

from obswarm import clock
from obswarm.engine import StopReason
from obswarm.guards import Alert, GuardEvaluator
from obswarm.record import StopKind
from obswarm.units import format_duration

logger = logging.getLogger(__name__)

ARRIVAL_S = 5.0
"""Alertmanager retries a receiver that did not respond within this time."""

_STEP_S = 0.1


class Stoppable(Protocol):
    """A run that can be stopped."""

    def stop(self, reason: StopReason) -> None: ...


def wait_for_earlier_alerts(
    evaluator: GuardEvaluator,
    run: Stoppable,
    longest_s: float,
    interrupted: Callable[[], bool],
    *,
    monotonic: Callable[[], float] = clock.monotonic,
    sleep: Callable[[float], None] = gevent.sleep,
) -> None:
    """Wait until no earlier alert is firing, or `interrupted()` is true; stop the run after `longest_s` seconds.

    Waits for at least `ARRIVAL_S`, in which alerts that could not be delivered before are delivered again.
    """
    began_s = monotonic()
    logged: set[str] = set()
    logger.info("Waiting %s for alerts that are already firing.", format_duration(ARRIVAL_S))
    while not interrupted():
        waited_s = monotonic() - began_s
        firing = evaluator.delaying_start()
        for alert in firing:
            if alert.fingerprint not in logged:
                logged.add(alert.fingerprint)
                logger.warning(
                    "%s; the start of the run is delayed until it is resolved, for %s at most.",
                    _described(alert),
                    format_duration(longest_s),
                )
        if not firing and waited_s >= ARRIVAL_S:
            if logged:
                logger.info(
                    "No alert from before the run is firing any more; starting after %s.",
                    format_duration(round(waited_s)),
                )
            return
        if firing and waited_s >= longest_s:
            names = ", ".join(dict.fromkeys(alert.name for alert in firing))
            text = f"The run was not started: {names} fired before it and was not resolved within"
            text += f" {format_duration(longest_s)}"
            logger.error("%s.", text)
            run.stop(StopReason(StopKind.ALERT, text))
            return
        sleep(_STEP_S)


def _described(alert: Alert) -> str:
    since = f" since {clock.iso(alert.starts_s)}" if alert.starts_s is not None else ""
    return f"The alert {alert.name} fires{since}{f' ({alert.summary})' if alert.summary else ''}"
