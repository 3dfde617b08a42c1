"""`locust.contrib.dns`: users that ask name servers over dnspython."""

from collections.abc import Callable
from typing import Any

from obswarm.api import Environment, RequestHook, User
from obswarm.locust.contrib.optional import needed
from obswarm.locust.exception import LocustError

with needed("dnspython", "dns", "dns"):
    import dns.message
    import dns.query

__all__ = ["DNSClient", "DNSUser"]


class DNSClient:
    """The functions of dns.query (`udp`, `tcp`, `tls`, `https` …), each call of which is measured."""

    def __init__(self, request_event: RequestHook) -> None:
        self.request_event = request_event

    def __getattr__(self, function_name: str) -> Callable[..., Any]:
        """Return a function that calls the one of that name of dns.query, and counts it as `DNS` by `name`, or by the
        function's. An answer without a record is a failure. Raises AttributeError when there is none of that name."""
        function = getattr(dns.query, function_name)

        def query(message: Any, *arguments: Any, name: str | None = None, **options: Any) -> Any:
            with self.request_event.measure("DNS", name or function_name) as meta:
                response = meta["response"] = function(message, *arguments, **options)
                if not response.answer:
                    meta["exception"] = LocustError("No answer in DNS response")
            return meta["response"]

        return query


class DNSUser(User):
    """A user with a DNSClient: `self.client.udp(dns.message.make_query("example.com", "A"), "127.0.0.1")`."""

    abstract = True
    client: DNSClient

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = DNSClient(environment.events.request)
