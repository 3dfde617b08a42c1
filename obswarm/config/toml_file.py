"""Find and read obswarm.toml, [tool.obswarm] in pyproject.toml, or Locust's settings, without interpreting the keys."""

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    "kinds": "Kinds of targets of your own, each in a table `[[kinds]]`.",
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
    "no_data_after": "How long the guard may have no data before `on_no_data` applies; by default `30s`.",
    "on_no_data": '`"warn"` (the default) or `"stop"`.',
}
RENAMED_GUARD_KEYS = {"blind_after": "no_data_after", "on_blind": "on_no_data"}
"""Present names of keys of `[[guards]]`, and of arguments of Guard, by their names in obswarm 0.1."""
_BOMS_OF_OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds: `values` by the keys of obswarm.toml, in `table` if that is not the whole file.

    Of Locust's settings, which may be in several files: `paths` and `places` are where a key is from, as path and as
    what stands before it in messages; `cluster` and `custom` are those of LocustSettings.
    """

    path: Path
    values: dict[str, Any]
    table: str = ""
    paths: Mapping[str, Path] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    cluster: Mapping[str, str] = field(default_factory=dict)
    custom: Mapping[str, tuple[str, ...] | str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """What stands before a key in messages: `obswarm.toml: `."""
        return f"{self.path}: [{self.table}] " if self.table else f"{self.path}: "

    def where_of(self, key: str) -> str:
        """What stands before this key in messages."""
        return self.places.get(key, self.where)

    def path_of(self, key: str) -> Path:
        """The file that has the key."""
        return self.paths.get(key, self.path)


def current_folder() -> Path | None:
    """Return the current folder, None if it has been removed, which does not stop a service."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def read_document(named: str | None, folder: Path | None) -> Document | None:
    """Read the given file, or the one in the folder: obswarm.toml, [tool.obswarm] in pyproject.toml, or, without both,
    Locust's settings. Returns None if there is none. Raises ObswarmError if it cannot be read."""
    if named is not None:
        return _named_document(Path(named), folder)
    if folder is None:
        return None
    # In messages, a file in the current folder has no path.
    where = Path() if folder == current_folder() else folder
    if (where / FILE).exists():
        return Document(where / FILE, _read(where / FILE))
    project = _read(where / _PROJECT) if (where / _PROJECT).exists() else {}
    if _has_table(project, _OURS):
        return _of_table(where / _PROJECT, project, _OURS)
    return _of_locust(_locust_files(where))


def given_to_locust(names: Sequence[str]) -> dict[str, tuple[str, ...] | str]:
    """Return keys and values of Locust's configuration files of these names, if they exist; of a key in several files,
    the value of the last one. Raises ObswarmError."""
    found: dict[str, tuple[str, ...] | str] = {}
    for path in (Path(name).expanduser() for name in names):
        if not path.exists():
            continue
        if path.suffix == ".toml":
            project = _read(path)
            given = _table_of(path, project, _LOCUSTS) if _has_table(project, _LOCUSTS) else {}
        else:
            given = locust_conf.parse_locust_conf(_read_text(path))
        for name, value in given.items():
            found[name.replace("_", "-")] = tuple(map(str, value)) if isinstance(value, list) else str(value)
    return found


_LocustFile = tuple[Path, str, Mapping[str, Any]]
"""A file of Locust's: path, table, and its keys and values."""


def _locust_files(folder: Path) -> Iterator[_LocustFile]:
    """Read Locust's files, in the order in which they override each other."""
    home = Path.home() / f".{locust_conf.FILE}"
    for path in (home, folder / locust_conf.FILE):
        if path.exists():
            yield _conf_file(path)
    project = _read(folder / _PROJECT) if (folder / _PROJECT).exists() else {}
    if _has_table(project, _LOCUSTS):
        yield folder / _PROJECT, f"tool.{_LOCUSTS}", _table_of(folder / _PROJECT, project, _LOCUSTS)


def _conf_file(path: Path) -> _LocustFile:
    return path, "", locust_conf.parse_locust_conf(_read_text(path))


def _of_locust(files: Iterable[_LocustFile]) -> Document | None:
    document = None
    for path, table, given in files:
        own = Document(path, {}, table)
        found = locust_conf.settings_of(own.where, given)
        earlier = document or own
        document = Document(
            path,
            {**earlier.values, **found.values},
            table,
            {**earlier.paths, **dict.fromkeys(found.values, path)},
            {**earlier.places, **dict.fromkeys(found.values, own.where)},
            {**earlier.cluster, **found.cluster},
            {**earlier.custom, **found.custom},
        )
    return document


def _named_document(path: Path, folder: Path | None) -> Document | None:
    if path.suffix == locust_conf.SUFFIX:
        # As with Locust, over those of the folder.
        return _of_locust([*(_locust_files(folder) if folder is not None else ()), _conf_file(path)])
    values = _read(path)
    if path.name != _PROJECT:
        return Document(path, values)
    return _of_table(
        path, values, _LOCUSTS if _has_table(values, _LOCUSTS) and not _has_table(values, _OURS) else _OURS
    )


def _has_table(values: dict[str, Any], name: str) -> bool:
    """Whether a pyproject.toml has a table [tool.NAME]. Errors in other parts of the file are ignored."""
    tools = values.get("tool")
    return isinstance(tools, dict) and name in tools


def _of_table(path: Path, values: dict[str, Any], name: str) -> Document | None:
    own = _table_of(path, values, name)
    if name == _OURS:
        return Document(path, own, f"tool.{name}")
    return _of_locust([(path, f"tool.{name}", own)])


def _table_of(path: Path, values: dict[str, Any], name: str) -> dict[str, Any]:
    own = values["tool"][name] if _has_table(values, name) else {}
    if not isinstance(own, dict):
        raise ObswarmError(f"{path}: tool.{name} is {own!r}; it has to be a table: [tool.{name}].")
    return own


def _read(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    # Only here: many runs have no such file.
    import tomllib

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
