"""Holds back the start of a run while alerts fire that began before it."""

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
"""Alertmanager tries a receiver that did not answer again within that time."""

_STEP_S = 0.1


class Stoppable(Protocol):
    """What is stopped when waiting takes too long."""

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
    """Returns when none fires any more, when `interrupted` says so, or, with the run stopped, after `longest_s`.

    Alerts that fired when nobody listened for them are delivered anew within `ARRIVAL_S`; so long it waits at least.
    """
    began_s = monotonic()
    told: set[str] = set()
    logger.info("The run waits %.0f s for alerts that fire already.", ARRIVAL_S)
    while not interrupted():
        waited_s = monotonic() - began_s
        firing = evaluator.delaying_start()
        for alert in firing:
            if alert.fingerprint not in told:
                told.add(alert.fingerprint)
                logger.warning(
                    "%s, so the start of the run waits until that is resolved, for %s at most.",
                    _described(alert),
                    format_duration(longest_s),
                )
        if not firing and waited_s >= ARRIVAL_S:
            if told:
                logger.info("No alert from before the run fires any more; it starts, %.0f s late.", waited_s)
            return
        if firing and waited_s >= longest_s:
            names = ", ".join(dict.fromkeys(alert.name for alert in firing))
            text = f"The run did not begin: {names} fired before it and was not resolved within"
            text += f" {format_duration(longest_s)}"
            logger.error("%s.", text)
            run.stop(StopReason(StopKind.ALERT, text))
            return
        sleep(_STEP_S)


def _described(alert: Alert) -> str:
    since = f" since {clock.iso(alert.starts_s)}" if alert.starts_s is not None else ""
    return f"The alert {alert.name} fires{since}{f' ({alert.summary})' if alert.summary else ''}"
