"""`locust.util.cache`."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from obswarm import clock

Function = TypeVar("Function", bound=Callable[..., Any])


def memoize(timeout: float, dynamic_timeout: bool = False) -> Callable[[Function], Function]:
    """Return a decorator: the result of a function, for any arguments, is kept for `timeout` seconds; with
    `dynamic_timeout` for twice as long as the call took, if that is longer. The function gets `clear_cache()`."""

    def decorate(function: Function) -> Function:
        cached: list[Any] = []
        until_s = 0.0

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal until_s
            started_s = clock.monotonic()
            if not cached or started_s > until_s:
                cached[:] = [function(*args, **kwargs)]
                ended_s = clock.monotonic()
                until_s = ended_s + max(timeout, 2 * (ended_s - started_s) if dynamic_timeout else 0.0)
            return cached[0]

        call.clear_cache = cached.clear  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return decorate
