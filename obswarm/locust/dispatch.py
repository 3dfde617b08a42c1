"""`locust.dispatch`: how users are distributed, for programs that import its name."""

from typing import Any

from obswarm.api import ObswarmError

__all__ = ["UsersDispatcher"]


class UsersDispatcher:
    """Locust's distribution of users over workers. Raises ObswarmError when it is made."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ObswarmError(
            "obswarm distributes users itself: by the classes' weights and fixed counts, and over workers as --balance"
            " says. A LoadTestShape chooses how many there are of which classes."
        )
