"""Parsers of option values. Their errors contain a valid example."""

import ipaddress
import re
from pathlib import Path
from typing import Any

import click

from obswarm.api import parse_stages
from obswarm.api.tracing import parse_share
from obswarm.app.sources import is_http_url
from obswarm.cluster import DEFAULT_PORT, LARGEST_FRAME_BYTES, usable_cpus
from obswarm.config import MOST_USERS, MOST_WORKERS
from obswarm.defaults import LONGEST_RUN_S
from obswarm.engine import parse_user_config
from obswarm.errors import reason_of
from obswarm.json_text import to_json
from obswarm.sanitize import is_clean
from obswarm.units import format_bytes, parse_duration

MOST_BUNDLE_BYTES = LARGEST_FRAME_BYTES * 3 // 4


class Line(click.types.StringParamType):
    """A text that may contain spaces. In an environment variable, several values are separated by line breaks."""

    def split_envvar_value(self, rv: str) -> list[str]:
        return [line.strip() for line in rv.splitlines() if line.strip()]


NAMES = click.types.StringParamType()
"""Names; in an environment variable they are separated by blanks."""


class UserConfig(Line):
    """A JSON object with `user_class_name`, a list of such objects, or a file with one of both. The value is the list
    as JSON: where the file is read, and where it is used, are different machines."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(super().convert(value, param, ctx)).strip()
        if not text.startswith(("{", "[")):
            try:
                text = Path(text).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise click.BadParameter(f"{text} cannot be read: {reason_of(error)}.", ctx, param) from None
        try:
            return to_json(list(parse_user_config(text)))
        except ValueError as error:
            raise click.BadParameter(f"{error}.", ctx, param) from None


class Header(Line):
    """`NAME: VALUE`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(super().convert(value, param, ctx)).strip()
        name, colon, _ = text.partition(":")
        if not colon or not name.strip():
            # Without the value, which may be a secret.
            raise click.BadParameter("write it as NAME: VALUE, like 'X-Scope-OrgID: shop'.", ctx, param)
        return text


def duration_or_zero(text: str) -> float:
    """Parse a duration such as 90s, 20m or 1h30m to seconds, at most 30 days."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    if seconds > LONGEST_RUN_S:
        raise click.BadParameter(f"{text!r} is longer than 30 days.")
    return seconds


def duration(text: str) -> float:
    """Parse a duration above 0 to seconds."""
    seconds = duration_or_zero(text)
    if seconds == 0:
        raise click.BadParameter("it has to be longer than 0s.")
    return seconds


def share(text: str) -> float:
    """Parse a share such as 1% or 0.01."""
    try:
        return parse_share(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def stages(text: str) -> tuple[tuple[float, int], ...]:
    """Parse stages such as 30s:100,2m:500,30s:0 to pairs of seconds and users."""
    try:
        parsed = parse_stages(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    if max(stage.users for stage in parsed) > MOST_USERS:
        raise click.BadParameter(f"more than {MOST_USERS:,} users.")
    if sum(stage.duration_s for stage in parsed) > LONGEST_RUN_S:
        raise click.BadParameter("longer than 30 days altogether.")
    return tuple((stage.duration_s, stage.users) for stage in parsed)


def target_host(text: str) -> str:
    """Check a host as far as that is possible without the user classes, which define its format."""
    stripped = text.strip()
    if not stripped or not is_clean(stripped):
        raise click.BadParameter(f"{text!r} is not a host; write it like https://www.example.com.")
    return stripped


def workers(text: str) -> int | None:
    """Parse a number of worker processes; None for auto, and -1 for one on each CPU."""
    if text.strip().lower() == "auto":
        return None
    if text.strip() == "-1":
        return max(1, int(usable_cpus()))
    if not text.strip().isdecimal() or int(text) > MOST_WORKERS:
        raise click.BadParameter(f"{text!r}; write auto, a number from 0 to {MOST_WORKERS}, or -1 for one on each CPU.")
    return int(text)


def _address(text: str, default_port: int | None) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        host, port = text.strip(), "" if default_port is None else str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise click.BadParameter(f"{text!r} is not an address; write it like 10.0.0.5:{default_port} or [::1]:5557.")
    return host, int(port)


def master_address(text: str) -> tuple[str, int]:
    """Parse HOST or HOST:PORT of a master."""
    host, port = _address(text.removeprefix("tcp://"), DEFAULT_PORT)
    if port == 0:
        raise click.BadParameter(f"{text!r}: the port has to be above 0.")
    return host, port


def bind_address(text: str) -> tuple[str, int]:
    """Parse ADDRESS or ADDRESS:PORT to listen on."""
    host, port = _address(text, DEFAULT_PORT)
    if host == "localhost":
        host = "127.0.0.1"
    elif host == "*":
        host = "0.0.0.0"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise click.BadParameter(
            f"{host!r} is not an IP address; write it like 127.0.0.1, 0.0.0.0 or 0.0.0.0:{DEFAULT_PORT}."
        ) from None
    return host, port


def listening_address(text: str) -> str:
    """Return an address to listen on; `*`, or none, is any."""
    return "0.0.0.0" if text.strip() in ("", "*") else text.strip()


def wait_or_forever(text: str) -> float | None:
    """Parse a duration; None for 0, which is without a limit."""
    return duration_or_zero(text) or None


def size(text: str) -> int:
    """Parse a size such as 500KiB, 20MiB or 1GiB to bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]i?)?B?", text.strip(), re.IGNORECASE)
    if found is None:
        raise click.BadParameter(f"{text!r} is not a size; write it like 500KiB, 20MiB or 1GiB.")
    number, unit = float(found[1]), (found[2] or "").lower()
    base = 1024 if unit.endswith("i") else 1000
    found_bytes = int(number * base ** " kmg".index(unit[0] if unit else " "))
    if found_bytes > MOST_BUNDLE_BYTES:
        raise click.BadParameter(f"{text!r} is too large; the maximum is {format_bytes(MOST_BUNDLE_BYTES)}.")
    return found_bytes


def http_url(text: str) -> str:
    """Check an http or https URL. The message does not contain it, as it may contain a password."""
    if not is_http_url(text):
        raise click.BadParameter("it is not a URL; write it like http://127.0.0.1:9090.")
    return text
