"""`locust.util.exception_handler`."""

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gevent

from obswarm.units import format_limit

logger = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])


def retry(
    delays: Sequence[float] = (1, 3, 5), exception: type[BaseException] | tuple[type[BaseException], ...] = Exception
) -> Callable[[Function], Function]:
    """Return a decorator: a call that raises `exception` is made again after each of the delays (seconds); what the
    last one raises is raised."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for delay_s in delays:
                try:
                    return function(*args, **kwargs)
                except exception as error:
                    logger.info(
                        "%s: %s; again in %s.",
                        getattr(function, "__qualname__", function),
                        error,
                        format_limit(delay_s),
                    )
                    gevent.sleep(delay_s)
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate
