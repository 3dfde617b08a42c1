"""Options for credentials, certificates and proxy of requests to a Prometheus or a remote-write receiver."""

from collections.abc import Callable
from typing import Any

from obswarm.cli.option_types import Header
from obswarm.cli.options import run_option

_FIELDS: dict[str, tuple[str, str]] = {
    "auth": ("USER:PASSWORD", "Basic authentication for {}."),
    "token": ("TOKEN", "Bearer token for {}."),
    "token-file": ("FILE", "File with the bearer token for {}; read again for each request."),
    "header": ("NAME:VALUE", "HTTP header for {}, e.g. 'X-Scope-OrgID: shop'; repeatable."),
    "ca-file": ("FILE", "CA certificates for {}."),
    "cert-file": ("FILE", "Client certificate for {}."),
    "key-file": ("FILE", "Private key of the client certificate, if it is in a separate file."),
    "proxy": ("URL", "Proxy for {}."),
}
"""Metavar and help, by the part of the option after the prefix."""


def access_options(prefix: str, server: str) -> tuple[Callable[[Any], Any], ...]:
    """Return --PREFIX-auth and the other options; `server` is its description in their help."""
    return tuple(
        run_option(
            f"--{prefix}-{name}",
            *([f"{prefix.replace('-', '_')}_headers"] if name == "header" else []),
            type=Header() if name == "header" else None,
            metavar=metavar,
            help=text.format(server),
        )
        for name, (metavar, text) in _FIELDS.items()
    )
