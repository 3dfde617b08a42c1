"""Settings of a FastHttpUser class: timeouts, limits, default headers, proxy, TLS."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from obswarm import defaults
from obswarm.api import ObswarmError
from obswarm.http.call import parse_max_response_bytes
from obswarm.http.deadlines import NEVER
from obswarm.http.errors import InvalidRequest
from obswarm.http.head import DEFAULT_FIELDS, check_fields
from obswarm.http.route import Proxy, parse_proxy
from obswarm.http.tls import TlsSettings

_DEFAULT_TLS = TlsSettings()


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a session, from the attributes of a FastHttpUser class. Times are in seconds."""

    fields: tuple[tuple[str, str], ...] = tuple(DEFAULT_FIELDS.items())
    proxy: Proxy | None = None
    tls: TlsSettings = _DEFAULT_TLS
    connect_timeout_s: float = defaults.CONNECT_TIMEOUT_S
    read_timeout_s: float = defaults.NETWORK_TIMEOUT_S
    total_timeout_s: float | None = None
    max_redirects: int = defaults.MAX_REDIRECTS
    concurrency: int = defaults.POOL_CONNECTIONS
    dns_ttl_s: float | None = None
    max_response_bytes: float = defaults.MAX_RESPONSE_IN_MEMORY_BYTES


@lru_cache(maxsize=256)
def make_settings(class_name: str, attributes: tuple[Any, ...]) -> Settings:
    """Return the settings of a class, one value for all of its users. Raises ObswarmError, which names class and
    attribute, for an invalid value."""
    (headers, proxy, proxy_host, proxy_port, insecure, verify, cert, factory, connect_s, read_s, total_s) = attributes[
        :11
    ]
    max_redirects, concurrency, dns_ttl, max_response_bytes = attributes[11:]
    for name, value, optional in (
        ("connection_timeout", connect_s, False),
        ("network_timeout", read_s, False),
        ("total_timeout", total_s, True),
        ("dns_ttl", dns_ttl, True),
    ):
        if not (optional and value is None) and not _is_positive(value):
            raise ObswarmError(f"{class_name}.{name} is {value!r}; it has to be a number of seconds above 0.")
    for name, value, least in (("concurrency", concurrency, 1), ("max_redirects", max_redirects, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ObswarmError(f"{class_name}.{name} is {value!r}; it has to be a whole number, {least} or more.")
    try:
        fields = check_fields(dict(headers))
    except ValueError as error:
        raise ObswarmError(f"{class_name}.default_headers: {error}.") from None
    names = {name.lower() for name in fields}
    defaulted = {name: value for name, value in DEFAULT_FIELDS.items() if name.lower() not in names}
    if proxy is None and proxy_host:
        proxy = f"http://{proxy_host}:{proxy_port or 8080}"
    return Settings(
        fields=tuple({**defaulted, **fields}.items()),
        proxy=parse_proxy(proxy) if proxy else None,
        tls=TlsSettings(False if insecure else verify or True, _as_pair(cert), factory),
        connect_timeout_s=connect_s,
        read_timeout_s=read_s,
        total_timeout_s=total_s,
        max_redirects=max_redirects,
        concurrency=concurrency,
        dns_ttl_s=dns_ttl,
        max_response_bytes=parse_max_response_bytes(f"{class_name}.max_response_bytes", max_response_bytes),
    )


def _is_positive(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and value > 0


def _as_pair(cert: Any) -> str | tuple[str, str] | None:
    return tuple(cert) if isinstance(cert, list) else cert


def parse_timeout(timeout: Any, total_timeout: Any, settings: Settings, now: float) -> tuple[float, float, float]:
    """(connect timeout, read timeout, moment of the total deadline). Raises InvalidRequest for what is none."""
    if isinstance(timeout, tuple | list):
        if len(timeout) != 2:
            raise InvalidRequest(f"timeout={timeout!r}: give seconds, or a pair of them for connecting and reading")
        connect, read = timeout
    else:
        connect = read = timeout
    total = total_timeout if total_timeout is not None else settings.total_timeout_s
    return (
        _seconds("timeout", connect, settings.connect_timeout_s),
        _seconds("timeout", read, settings.read_timeout_s),
        NEVER if total is None else now + _seconds("total_timeout", total, 0.0),
    )


def _seconds(name: str, value: Any, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value <= 0:
        raise InvalidRequest(f"{name}={value!r}: give a number of seconds above 0")
    return float(value)
