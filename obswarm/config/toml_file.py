"""Find and read obswarm.toml, [tool.obswarm] in pyproject.toml, or Locust's settings, without interpreting the keys."""

import codecs
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obswarm.config import locust_conf
from obswarm.errors import ObswarmError

FILE = "obswarm.toml"
_PROJECT = "pyproject.toml"
_OURS, _LOCUSTS = "obswarm", "locust"

KEYS = {
    "targets": "Metrics endpoints of the target, each in a table `[[targets]]`.",
    "guards": "Guards, each in a table `[[guards]]`.",
    "keep_for": "Age at which stored runs are removed, at the end of a run, unless they have a tag or a note:"
    ' a duration such as `"30d"`.',
    "keep_runs": "The number of stored runs to keep, with the same exceptions; the oldest ones are removed.",
}
"""Keys that are not options of a command, with their meanings."""

TARGET_KEYS = {
    "kind": "Kind of the target; see `obswarm targets`.",
    "url": "URL of its metrics endpoint.",
    "name": "Name; by default its kind.",
    "auth": "`USER:PASSWORD` for basic authentication; the URL can contain them, too.",
    "token": "A bearer token.",
    "token_file": "A file with the bearer token, read again for each request.",
    "headers": 'HTTP headers: `{ X-Scope-OrgID = "shop" }`.',
    "ca_file": "CA certificates; by default those of the environment or the system.",
    "cert_file": "A client certificate.",
    "key_file": "Private key of the client certificate, if it is in a separate file.",
    "proxy": "URL of a proxy; by default that of the environment.",
}
GUARD_KEYS = {
    "when": "The condition, as in [guards](guards.md#what-to-write).",
    "action": '`"stop"` (the default), `"abort"`, `"hold"`, `"scale(50%)"` or `"notify"`.',
    "name": "Name; by default its condition.",
    "clear_for": "How long the condition has to be false until the guard is clear; by default as long as its `for`.",
    "no_data_after": "How long the guard may have no data before `on_no_data` applies; by default 30 s.",
    "on_no_data": '`"warn"` (the default) or `"stop"`.',
}
RENAMED_GUARD_KEYS = {"blind_after": "no_data_after", "on_blind": "on_no_data"}
"""Present names of keys of `[[guards]]`, and of arguments of Guard, by their names in obswarm 0.1."""
_BOMS_OF_OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds: `values` by the keys of obswarm.toml, in `table` if that is not the whole file. `ignored` are
    keys of Locust's that obswarm does not have."""

    path: Path
    values: dict[str, Any]
    table: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """What stands before a key in messages: `obswarm.toml: `."""
        return f"{self.path}: [{self.table}] " if self.table else f"{self.path}: "


def current_folder() -> Path | None:
    """Return the current folder, None if it has been removed, which does not stop a service."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def read_document(named: str | None, folder: Path | None) -> Document | None:
    """Read the given file, or the one in the folder: obswarm.toml, [tool.obswarm] in pyproject.toml, or, without both,
    Locust's locust.conf or [tool.locust]. Returns None if there is none. Raises ObswarmError if it cannot be read."""
    if named is not None:
        return _named_document(Path(named))
    if folder is None:
        return None
    # In messages, a file in the current folder has no path.
    where = Path() if folder == current_folder() else folder
    if (where / FILE).exists():
        return Document(where / FILE, _read(where / FILE))
    project = _read(where / _PROJECT) if (where / _PROJECT).exists() else {}
    if _has_table(project, _OURS):
        return _of_table(where / _PROJECT, project, _OURS)
    if (where / locust_conf.FILE).exists():
        return _of_locust(where / locust_conf.FILE)
    if _has_table(project, _LOCUSTS):
        return _of_table(where / _PROJECT, project, _LOCUSTS)
    return None


def _named_document(path: Path) -> Document:
    if path.suffix == locust_conf.SUFFIX:
        return _of_locust(path)
    values = _read(path)
    if path.name != _PROJECT:
        return Document(path, values)
    return _of_table(
        path, values, _LOCUSTS if _has_table(values, _LOCUSTS) and not _has_table(values, _OURS) else _OURS
    )


def _of_locust(path: Path) -> Document:
    where = f"{path}: "
    values, ignored = locust_conf.settings_of(where, locust_conf.parse_locust_conf(_read_text(path)))
    return Document(path, values, ignored=tuple(ignored))


def _has_table(values: dict[str, Any], name: str) -> bool:
    """Whether a pyproject.toml has a table [tool.NAME]. Errors in other parts of the file are ignored."""
    tools = values.get("tool")
    return isinstance(tools, dict) and name in tools


def _of_table(path: Path, values: dict[str, Any], name: str) -> Document:
    own = values["tool"][name] if _has_table(values, name) else {}
    if not isinstance(own, dict):
        raise ObswarmError(f"{path}: tool.{name} is {own!r}; it has to be a table: [tool.{name}].")
    if name == _OURS:
        return Document(path, own, f"tool.{name}")
    own, ignored = locust_conf.settings_of(f"{path}: [tool.{name}] ", own)
    return Document(path, own, f"tool.{name}", tuple(ignored))


def _read(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ObswarmError(f"{path} is nested too deeply.") from None
    except ValueError as error:
        # TOMLDecodeError, and the error for an integer with thousands of digits.
        raise ObswarmError(f"{path} is not TOML: {error}.") from None


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ObswarmError(f"{path} cannot be read: {error.strerror}.") from None
    if content.startswith(_BOMS_OF_OTHER_ENCODINGS) or b"\0" in content[:4]:
        raise ObswarmError(f"{path} is in UTF-16 or UTF-32, as some editors for Windows write it; save it as UTF-8.")
    try:
        # With or without the byte-order mark that some editors write.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ObswarmError(f"{path}, line {line}, is not UTF-8; save the file as UTF-8.") from None
