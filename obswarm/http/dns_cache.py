"""DNS cache: a name is resolved once, and its addresses are kept for the run or for a TTL."""

import errno
import ipaddress
import socket as constants
from typing import Any, NamedTuple

from gevent import socket

from obswarm import clock, open_files
from obswarm.http.errors import ConnectError, NoDescriptorLeft
from obswarm.sanitize import clean_text

_AVOID_FAILED_S = 10.0
_SHOWN_LENGTH = 100


class Address(NamedTuple):
    """A socket's family, and what its connect() takes."""

    family: int
    address: Any


class _Known:
    __slots__ = ("addresses", "expires", "failed", "turn")

    def __init__(self, addresses: list[Address], expires: float | None) -> None:
        self.addresses = addresses
        self.expires = expires
        self.turn = 0
        self.failed: dict[Address, float] = {}


class DnsCache:
    """A cache of getaddrinfo's answers.

    Where a name has several addresses of the family that the system prefers, connections take turns, so that load is
    spread as many clients would spread it; the rest, and addresses that failed a moment ago, are only tried after them.
    """

    def __init__(self, ttl_s: float | None = None) -> None:
        """`ttl_s` None keeps answers for the life of the process."""
        self._ttl_s = ttl_s
        self._known: dict[tuple[str, int], _Known] = {}

    def addresses(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a name in the order in which to try them. Raises ConnectError when it has none."""
        now = clock.monotonic()
        known = self._known.get((host, port))
        if known is None or (known.expires is not None and now >= known.expires):
            expires = None if self._ttl_s is None else now + self._ttl_s
            known = self._known[host, port] = _Known(_look_up(host, port), expires)
        found = known.addresses
        if len(found) == 1:
            return found
        preferred = [address for address in found if address.family == found[0].family]
        first = known.turn % len(preferred)
        known.turn += 1
        order = preferred[first:] + preferred[:first] + found[len(preferred) :]
        if known.failed:
            known.failed = {address: until for address, until in known.failed.items() if until > now}
            order.sort(key=lambda address: address in known.failed)
        return order

    def note_failure(self, host: str, port: int, address: Address) -> None:
        """Try that address after the others for a while."""
        known = self._known.get((host, port))
        if known is not None and len(known.addresses) > 1:
            known.failed[address] = clock.monotonic() + _AVOID_FAILED_S

    def clear(self) -> None:
        self._known.clear()


def _look_up(host: str, port: int) -> list[Address]:
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        family = constants.AF_INET if parsed.version == 4 else constants.AF_INET6
        return [Address(family, (host, port))]
    shown = clean_text(host, _SHOWN_LENGTH)
    try:
        # Here, and not in the thread that asks the system: gevent would print that a name cannot be one.
        host.encode("idna")
    except UnicodeError as error:
        reason = getattr(error, "reason", None) or str(error.__cause__ or error)
        raise ConnectError(f"the name {shown!r} cannot be resolved: {reason}") from None
    try:
        infos = socket.getaddrinfo(host, port, type=constants.SOCK_STREAM)
    except socket.gaierror as error:
        if open_files.is_full():
            # The resolver reports it as a name that is unknown, or not known at the moment.
            raise NoDescriptorLeft(f"the name {shown!r} cannot be resolved: {open_files.reason()}") from None
        reason = getattr(error, "strerror", None) or str(error)
        raise ConnectError(f"the name {shown!r} cannot be resolved: {reason}") from None
    found = list(dict.fromkeys(Address(int(info[0]), info[4]) for info in infos))
    if not found:
        raise ConnectError(f"the name {shown!r} cannot be resolved: {errno.errorcode[errno.EADDRNOTAVAIL]}")
    preferred = found[0].family
    found.sort(key=lambda address: address.family != preferred)
    return found


_shared: dict[float | None, DnsCache] = {}


def names(ttl_s: float | None = None) -> DnsCache:
    """The process's cache for a TTL: all users share it."""
    found = _shared.get(ttl_s)
    if found is None:
        found = _shared[ttl_s] = DnsCache(ttl_s)
    return found
