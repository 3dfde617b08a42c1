"""Settings of the command `locust`, from locust.conf or [tool.locust], as those of obswarm.toml."""

from collections.abc import Callable, Iterator, Mapping
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


def _workers(value: Any) -> str | int:
    count = _number(value)
    return "auto" if count < 0 else count


def _standard_output(value: Any) -> str | None:
    return "-" if _flag(value) else None


def _json_file(value: Any) -> str:
    return f"{value}.json"


_Convert = Callable[[Any], Any]

_KEYS: Mapping[str, tuple[str, _Convert]] = {
    "csv": ("csv", str),
    "csv-full-history": ("csv_full_history", _flag),
    "exclude-tags": ("exclude_tags", _texts),
    "exit-code-on-error": ("exit_code_on_error", _number),
    "headless": ("headless", _flag),
    "host": ("host", str),
    "json": ("json", _standard_output),
    "json-file": ("json", _json_file),
    "locustfile": ("loadtest", _files),
    "logfile": ("logfile", str),
    "loglevel": ("loglevel", str),
    "only-summary": ("only_summary", _flag),
    "processes": ("workers", _workers),
    "reset-stats": ("reset_stats", _flag),
    "run-time": ("run_time", str),
    "spawn-rate": ("spawn_rate", str),
    "stop-timeout": ("stop_timeout", str),
    "tags": ("tags", _texts),
    "users": ("users", _number),
    "web-host": ("metrics_addr", str),
    "web-port": ("web_port", _number),
}
"""Keys of Locust, with those of obswarm.toml."""

_WITHOUT_VARIABLE = ("json", "json-file", "processes")
"""Keys whose values are not those of the option."""

VARIABLES = {
    key: f"LOCUST_{name.upper().replace('-', '_')}" for name, (key, _) in _KEYS.items() if name not in _WITHOUT_VARIABLE
}
"""Environment variables of Locust, by the keys of obswarm.toml."""


def settings_of(where: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values of obswarm.toml for those of Locust, and the keys that obswarm does not have. `where` stands
    before a key in messages.

    Raises ObswarmError for a value of a wrong type.
    """
    values: dict[str, Any] = {}
    unknown = []
    for name, value in given.items():
        key, convert = _KEYS.get(name.replace("_", "-"), ("", str))
        if not key:
            unknown.append(name)
            continue
        try:
            converted = convert(value)
        except ValueError as error:
            raise ObswarmError(f"{where}{name} is {value!r}; {error}.") from None
        if converted is not None:
            values[key] = converted
    return values, unknown


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
