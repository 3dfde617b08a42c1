"""FastHttpUser as locustfiles have it, without its client, which is imported where users run."""

from typing import TYPE_CHECKING, Any

from obswarm import http
from obswarm.locust.rest import RestMixin
from obswarm.locust.util.deprecation import translate

if TYPE_CHECKING:
    from obswarm.locust.fast_clients import FastHttpSession


class FastHttpUser(RestMixin, http.FastHttpUser):
    """obswarm's FastHttpUser with Locust's names of requests and exceptions."""

    abstract = True
    client: "FastHttpSession"

    max_retries: int = 0
    """Without effect: a request that gets no response is counted as a failure."""

    client_pool: Any = None
    """A pool of connections that all users of the class share: obswarm's, or geventhttpclient's, for its size."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__dict__.get("max_retries"):
            from obswarm.locust.fast_clients import warn_of_retries

            warn_of_retries(cls.__name__)

    @classmethod
    def import_client(cls) -> None:
        from obswarm.locust import fast_clients  # noqa: F401

    def _session(self, settings: Any) -> "FastHttpSession":
        from obswarm.locust.fast_clients import session_of

        return session_of(self, self._checked_host(), settings)


class FastHttpLocust(FastHttpUser):
    """FastHttpUser, with `task_set`, `min_wait` and `max_wait` (milliseconds)."""

    abstract = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        translate(cls, "FastHttpLocust", "FastHttpUser")
        super().__init_subclass__(**kwargs)
