"""Options that say how requests to a server of others are authenticated and sent: to Prometheus, to a remote-write
receiver."""

from collections.abc import Callable
from typing import Any

from obswarm.cli.option_types import Header
from obswarm.cli.options import run_option

_FIELDS: dict[str, tuple[str, str]] = {
    "auth": ("USER:PASSWORD", "Basic authentication for {}."),
    "token": ("TOKEN", "Bearer token for {}."),
    "token-file": ("FILE", "File with the bearer token; it is read again for each request."),
    "header": ("NAME:VALUE", "HTTP header for {}, like 'X-Scope-OrgID: shop'; repeat it."),
    "ca-file": ("FILE", "CA certificates for {}."),
    "cert-file": ("FILE", "Client certificate for {}."),
    "key-file": ("FILE", "Key of the client certificate, if it is in another file."),
    "proxy": ("URL", "Proxy for {}."),
}
"""By what stands behind the prefix: metavar and help."""


def access_options(prefix: str, whose: str) -> tuple[Callable[[Any], Any], ...]:
    """Return --PREFIX-auth and the others; `whose` server, in their help."""
    return tuple(
        run_option(
            f"--{prefix}-{name}",
            *([f"{prefix.replace('-', '_')}_headers"] if name == "header" else []),
            type=Header() if name == "header" else None,
            metavar=metavar,
            help=text.format(whose),
        )
        for name, (metavar, text) in _FIELDS.items()
    )
