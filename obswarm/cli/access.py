"""Options that say how an API of others is let in, and the ApiAccess that they make: of a Prometheus, of a receiver of
remote write, and of targets in obswarm.toml."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from obswarm.api import ObswarmError
from obswarm.cli.options import Header
from obswarm.cli.options import shared_option as option
from obswarm.http import ApiAccess, access_of, naming_by_options, parse_header

_FIELDS: dict[str, tuple[str, str]] = {
    "auth": ("USER:PASSWORD", "Basic authentication for {}."),
    "token": ("TOKEN", "Bearer token for {}."),
    "token_file": ("FILE", "A file with that token, read again for each request."),
    "header": ("NAME:VALUE", "A header for {}, like 'X-Scope-OrgID: shop'; repeat it."),
    "ca_file": ("FILE", "Certificates to trust of {}.  [default: the environment's, or the system's]"),
    "cert_file": ("FILE", "A client certificate for {}."),
    "key_file": ("FILE", "The key of that certificate, if it is in another file."),
    "proxy": ("URL", "A proxy for {}.  [default: HTTP_PROXY, HTTPS_PROXY, NO_PROXY]"),
}
"""By field of ApiAccess, but for `headers`, of which an option gives one."""
_EXCLUDES = {"auth": ("token", "token_file"), "token": ("token_file",)}
_TARGET_KEYS = tuple("headers" if name == "header" else name for name in _FIELDS)
"""Of a table `[[targets]]`."""


def access_options(prefix: str, whose: str) -> tuple[Callable[[Any], Any], ...]:
    """--PREFIX-auth and the others; `whose` API, in their help."""
    naming = naming_by_options(prefix)
    return tuple(
        option(
            naming(name),
            _parameter(prefix, name),
            multiple=name == "header",
            type=Header() if name == "header" else None,
            excludes=[_parameter(prefix, other) for other in _EXCLUDES.get(name, ())],
            metavar=metavar,
            help=text.format(whose),
        )
        for name, (metavar, text) in _FIELDS.items()
    )


def access_in(options: Mapping[str, Any], prefix: str, folder: Path | None = None) -> ApiAccess:
    """As the options say; paths are relative to the folder, if one is named."""
    values = {name: options[_parameter(prefix, name)] or None for name in _FIELDS if name != "header"}
    headers = tuple(parse_header(text) for text in options[_parameter(prefix, "header")])
    access = access_of({**values, "headers": headers})
    return access if folder is None else access.below(folder)


def given_option(options: Mapping[str, Any], prefix: str) -> str | None:
    """The first of them that has a value, as it is called; None when none has."""
    naming = naming_by_options(prefix)
    return next((naming(name) for name in _FIELDS if options[_parameter(prefix, name)]), None)


def parameters_of(prefix: str) -> list[str]:
    """The names of their parameters."""
    return [_parameter(prefix, name) for name in _FIELDS]


def _parameter(prefix: str, field: str) -> str:
    return f"{prefix}_{field}{'s' if field == 'header' else ''}".replace("-", "_")


def access_of_target(where: str, values: Mapping[str, Any]) -> ApiAccess:
    """As a table [[targets]] says. Raises ObswarmError."""
    given: dict[str, Any] = {}
    for name in _TARGET_KEYS:
        value = values.get(name)
        if name == "headers":
            given[name] = _headers(where, value)
        elif value is not None and not isinstance(value, str):
            raise ObswarmError(f"{where}{name} has to be a text.")
        else:
            given[name] = value or None
    return access_of(given)


def _headers(where: str, value: Any) -> tuple[tuple[str, str], ...]:
    table = {} if value is None else value
    if not isinstance(table, dict) or not all(isinstance(each, str) for each in table.values()):
        raise ObswarmError(f'{where}headers has to be a table of texts, like {{ X-Scope-OrgID = "shop" }}.')
    return tuple(table.items())
