"""`locust.user.users`: users, and HttpUser with what Locust's has."""

from typing import TYPE_CHECKING, Any

from obswarm import http
from obswarm.api import Environment, User
from obswarm.locust.rest import RestMixin
from obswarm.locust.user.pytest_user import PytestUser
from obswarm.locust.util.deprecation import translate

if TYPE_CHECKING:
    from urllib3 import PoolManager

    from obswarm.locust.clients import HttpSession

UserMeta = type(User)
"""The metaclass of user classes, for those that have one of their own."""

__all__ = ["HttpLocust", "HttpUser", "PytestUser", "RestMixin", "User", "UserMeta"]


class HttpUser(RestMixin, http.HttpUser):
    """obswarm's HttpUser with Locust's names of requests, exceptions and defaults: proxies and credentials of the
    environment (`client.trust_env`) are not used."""

    abstract = True
    client: "HttpSession"

    pool_manager: "PoolManager | None" = None
    """urllib3's, whose connections all users of the class share, over requests' own transport."""

    @classmethod
    def check_host(cls, host: Any) -> str:
        """As obswarm's; but a class whose base is an abstract one of a package may have a host without a scheme, which
        that uses for a protocol of its own. Raises ValueError for anything else."""
        try:
            return super().check_host(host)
        except ValueError:
            bases = cls.__mro__[1 : cls.__mro__.index(HttpUser)]
            is_name = isinstance(host, str) and host.strip() and "://" not in host
            if is_name and any(base.__dict__.get("abstract") for base in bases):
                return str(host)
            raise

    def __init__(self, environment: Environment, *_: Any, **__: Any) -> None:
        super().__init__(environment)

    @classmethod
    def import_client(cls) -> None:
        from obswarm.locust import clients  # noqa: F401

    def _session(self) -> "HttpSession":
        from obswarm.locust.clients import HttpSession

        session = HttpSession(self._checked_host(), self.environment.events.request, self, self.pool_manager)
        session.trust_env = False
        return session


class HttpLocust(HttpUser):
    """HttpUser, with `task_set`, `min_wait` and `max_wait` (milliseconds)."""

    abstract = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        translate(cls, "HttpLocust", "HttpUser")
        super().__init_subclass__(**kwargs)
