"""Which names a server is called by. A page in a browser can have a name of its own point to this machine (DNS
rebinding), and would be let read what is served here; the Host header still has that name."""

import ipaddress
import socket
from collections.abc import Iterable

_OF_NOBODY = frozenset(("localhost", "local", "internal", "arpa", "test", "svc"))
"""Top-level domains in which nobody can have a name (RFC 6761, RFC 6762, RFC 8375; `internal` is ICANN's), or has one
so far: services of Kubernetes are called NAME.NAMESPACE.svc."""


class AllowedHosts:
    """Addresses, names without a dot (of containers, of machines of a network), names in domains that nobody can
    have a name in, this machine's own, and those of `more`."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._more = {name.strip().rstrip(".").lower() for name in (socket.gethostname(), *more)}

    def allows(self, host: str | None) -> bool:
        """Whether a Host header may have this value; a request of HTTP/1.0 need not have any."""
        if not host:
            return True
        name = name_of(host)
        if name in self._more or "." not in name or name.rpartition(".")[2] in _OF_NOBODY:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def name_of(host: str) -> str:
    """The header's value without a port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")
