"""Settings of the command `locust`, from locust.conf or [tool.locust], as those of obswarm.toml."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from obswarm.errors import ObswarmError

FILE = "locust.conf"
SUFFIX = ".conf"
"""Ending of the names of files in this format."""

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in (*_TRUE, *_FALSE):
        raise ValueError("it has to be true or false")
    return text in _TRUE


def _number(value: Any) -> int:
    try:
        return int(str(value).strip())
    except ValueError:
        raise ValueError("it has to be a whole number") from None


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else str(value).replace(",", " ").split()
    return [str(each) for each in values]


def _files(value: Any) -> list[str]:
    values = value if isinstance(value, list) else str(value).split(",")
    return [str(each).strip() for each in values if str(each).strip()]


def _words(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else str(value).split()


def _list(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _true_or_none(value: Any) -> bool | None:
    return _flag(value) or None


def _standard_output(value: Any) -> str | None:
    return "-" if _flag(value) else None


def _all_interfaces(value: Any) -> str:
    return "0.0.0.0" if value in ("", "*") else str(value)


def _wait(value: Any) -> str | None:
    # 0 is without a limit.
    return str(_number(value)) if _number(value) else None


_Convert = Callable[[Any], Any]

_KEYS: Mapping[str, tuple[str, _Convert]] = {
    "autoquit": ("autoquit", str),
    "autostart": ("autostart", _flag),
    "config-users": ("config_users", _list),
    "csv": ("csv", str),
    "csv-full-history": ("csv_full_history", _flag),
    "equal-weights": ("equal_weights", _flag),
    "exclude-tags": ("exclude_tags", _texts),
    "exit-code-on-error": ("exit_code_on_error", _number),
    "expect-workers": ("expect_workers", _number),
    "expect-workers-max-wait": ("expect_workers_max_wait", _wait),
    "headless": ("headless", _flag),
    "host": ("host", str),
    "html": ("html", str),
    "json": ("json_file", _standard_output),
    "json-file": ("json_file", str),
    "locustfile": ("loadtest", _files),
    "logfile": ("logfile", str),
    "loglevel": ("loglevel", str),
    "only-summary": ("only_summary", _flag),
    "otel": ("otlp", _flag),
    "print-stats": ("headless", _true_or_none),
    "processes": ("workers", _number),
    "profile": ("profile", str),
    "reset-stats": ("reset_stats", _flag),
    "run-time": ("run_time", str),
    "skip-log": ("skip_log_setup", _flag),
    "skip-log-setup": ("skip_log_setup", _flag),
    "spawn-rate": ("spawn_rate", str),
    "stop-timeout": ("stop_timeout", str),
    "tags": ("tags", _texts),
    "tls-cert": ("tls_cert", str),
    "tls-key": ("tls_key", str),
    "user-classes": ("user_classes", _words),
    "users": ("users", _number),
    "web-host": ("metrics_addr", _all_interfaces),
    "web-port": ("web_port", _number),
}
"""Keys of Locust, with those of obswarm.toml."""

CLUSTER_KEYS = ("master", "worker", "master-host", "master-port", "master-bind-host", "master-bind-port")
"""Keys of Locust that make the process a master or a worker, or are its addresses: see `LocustSettings.cluster`."""

ALWAYS_SO = ("class-picker", "enable-rebalancing", "headful")
"""Keys of Locust that ask for what obswarm does anyway."""

_WITHOUT_VARIABLE = ("equal-weights", "json", "json-file", "profile", "skip-log")
"""Keys whose options have no environment variable in Locust."""

_OTHER_VARIABLES = {"otel": "LOCUST_ENABLE_OPENTELEMETRY"}
"""Environment variables that are not called as their option."""


def _variables() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, (key, _) in _KEYS.items():
        if name not in _WITHOUT_VARIABLE:
            variable = _OTHER_VARIABLES.get(name, f"LOCUST_{name.upper().replace('-', '_')}")
            found[key] = (*found.get(key, ()), variable)
    return found


VARIABLES = _variables()
"""Environment variables of Locust, by the keys of obswarm.toml."""


@dataclass(frozen=True, slots=True)
class LocustSettings:
    """What a file of Locust's holds: `values` by the keys of obswarm.toml, `cluster` those of CLUSTER_KEYS, and
    `custom` by keys that are neither Locust's nor ours, so that they may be options of the load test."""

    values: dict[str, Any] = field(default_factory=dict)
    cluster: dict[str, str] = field(default_factory=dict)
    custom: dict[str, tuple[str, ...] | str] = field(default_factory=dict)


def settings_of(where: str, given: Mapping[str, Any]) -> LocustSettings:
    """Return the settings of a file by Locust's keys. `where` stands before a key in messages.

    Raises ObswarmError for a value of a wrong type.
    """
    found = LocustSettings()
    for name, value in given.items():
        plain = name.replace("_", "-")
        key, convert = _KEYS.get(plain, ("", str))
        if plain in CLUSTER_KEYS:
            found.cluster[plain] = str(value)
        elif not key and plain not in ALWAYS_SO:
            found.custom[name] = tuple(map(str, value)) if isinstance(value, list) else str(value)
        elif key:
            try:
                converted = convert(value)
            except ValueError as error:
                raise ObswarmError(f"{where}{name} is {value!r}; {error}.") from None
            if converted is not None:
                found.values[key] = converted
    bind = _bind_of(found.cluster)
    if bind:
        found.values["bind"] = bind
    return found


def _bind_of(cluster: Mapping[str, str]) -> str:
    host, port = cluster.get("master-bind-host", ""), cluster.get("master-bind-port", "")
    return bind_address_of(host, port)


def bind_address_of(host: str, port: str) -> str:
    """Return the value of --bind for those of --master-bind-host and --master-bind-port, which may be empty."""
    if not host and not port:
        return ""
    # Locust listens on all interfaces by default; obswarm listens on this machine, unless --bind says otherwise.
    address = host or "127.0.0.1"
    named = f"[{address}]" if ":" in address else address
    return f"{named}:{port}" if port else named


def is_true(value: str) -> bool:
    """Whether a flag's value in a file or an environment variable is true. Raises ValueError if it is neither."""
    return _flag(value)


def parse_locust_conf(text: str) -> dict[str, Any]:
    """Return keys and values of a locust.conf. Each line is `key = value`, `key: value`, `key value`, or the key of a
    flag; `[a, b]` is a list; comments begin with `#` or `;`. Of a key that occurs twice the last value counts; one
    without a value after its `=` is not set.
    """
    return {name: value for name, value in _lines(text) if value != ""}


def _lines(text: str) -> Iterator[tuple[str, Any]]:
    for line in map(str.strip, text.splitlines()):
        if not line or line[0] in "#;" or (line[0] == "[" and line[-1] == "]"):
            continue
        end = next((index for index, character in enumerate(line) if character in "=: \t"), len(line))
        name, rest = line[:end].removeprefix("--"), line[end:].strip()
        yield name, _value(rest.removeprefix(rest[:1] if rest[:1] in ("=", ":") else "").strip()) if rest else "true"


def _value(text: str) -> Any:
    if text[:1] in ("'", '"') and (end := text.find(text[0], 1)) > 0:
        return text[1:end]
    for comment in (" #", " ;"):
        text = f" {text}".partition(comment)[0].strip()
    if text[:1] == "[" and text[-1] == "]":
        return [part.strip().strip("'\"") for part in text[1:-1].split(",") if part.strip()]
    return text
