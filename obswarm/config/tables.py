"""The values of obswarm.toml that are not options: targets, guards, retention of stored runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from obswarm.config.run_config import SETTINGS, AccessConfig, FileConfig, KindTable, TargetTable
from obswarm.config.toml_file import GUARD_KEYS, RENAMED_GUARD_KEYS, TARGET_KEYS, Document, read_document
from obswarm.errors import ObswarmError
from obswarm.nearest import nearest_names
from obswarm.redact import redact_value
from obswarm.units import parse_duration


def read_file_config(named: str | None, folder: Path | None) -> FileConfig:
    """Read the given file, or the one in the folder; returns an empty FileConfig if there is none.

    Raises ObswarmError with file and key.
    """
    return file_config(read_document(named, folder), named is not None)


def file_config(document: Document | None, named: bool) -> FileConfig:
    """Return the values of a document that are not options; `named` is true for a file of --config. Raises ObswarmError
    with file and key."""
    if document is None:
        return FileConfig()
    where, values = document.where, document.values
    targets = tuple(_target(place, each) for place, each in _tables(where, values, "targets"))
    names = [target.name or target.kind for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise ObswarmError(f"{where}two targets have the name {name!r}; set `name` of one of them.")
    return FileConfig(
        path=str(document.path),
        where=where,
        named=named,
        texts={
            each.key: list_of_texts(f"{where}{each.key}", values[each.key])
            for each in SETTINGS.values()
            if each.adds and each.key in values
        },
        keep_for=_duration(where, values, "keep_for"),
        keep_runs=_number(where, values, "keep_runs"),
        targets=targets,
        guards=tuple(_guard(place, each) for place, each in _tables(where, values, "guards")),
        custom=document.custom,
        kinds=tuple(_kind(place, each) for place, each in _tables(where, values, "kinds")),
    )


def check_keys(where: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise ObswarmError with the first unknown key."""
    for key in values:
        if key not in known:
            nearest = nearest_names(key.replace("-", "_"), known, 1)
            hint = f" Did you mean {nearest[0]}?" if nearest else f" Known keys: {', '.join(sorted(known))}."
            raise ObswarmError(f"{where}unknown key {key!r}.{hint}")


def list_of_texts(where: str, value: Any) -> tuple[str, ...]:
    """Check a list of strings. Raises ObswarmError if it is anything else."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ObswarmError(f"{where} has to be a list of texts.")
    return tuple(value)


def table_place(where: str, name: str, number: int) -> str:
    """Return the place of a table in messages, counted from 1: `obswarm.toml: [[targets]] 1: `."""
    return f"{where}[[{name}]] {number}: "


def _tables(where: str, values: Mapping[str, Any], name: str) -> list[tuple[str, Mapping[str, Any]]]:
    entries = values.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ObswarmError(f"{where}{name} has to be written as tables, [[{name}]].")
    return [(table_place(where, name, number), entry) for number, entry in enumerate(entries, start=1)]


def _target(where: str, values: Mapping[str, Any]) -> TargetTable:
    check_keys(where, values, list(TARGET_KEYS))
    for name in ("url", "kind"):
        if name not in values:
            raise ObswarmError(f"{where}{name} is missing.")
    own_name, url, kind = (_text(where, values, key) for key in ("name", "url", "kind"))
    given: dict[str, Any] = {}
    for name in TARGET_KEYS:
        value = values.get(name)
        if name == "headers":
            given[name] = _headers(where, value)
        elif name not in ("kind", "url", "name"):
            if value is not None and not isinstance(value, str):
                raise ObswarmError(f"{where}{name} has to be a text.")
            given[name] = value or None
    return TargetTable(kind or "", url or "", own_name, AccessConfig(**given))


def _headers(where: str, value: Any) -> tuple[str, ...]:
    table = {} if value is None else value
    if not isinstance(table, dict) or not all(isinstance(each, str) for each in table.values()):
        raise ObswarmError(f'{where}headers has to be a table of texts, like {{ X-Scope-OrgID = "shop" }}.')
    return tuple(f"{name}: {text}" for name, text in table.items())


def _kind(where: str, values: Mapping[str, Any]) -> KindTable:
    """Return a kind with unchecked values; only their types are those of a table with tables of metrics."""
    metrics = values.get("metrics", [])
    if not isinstance(metrics, list) or not all(isinstance(metric, dict) for metric in metrics):
        raise ObswarmError(f"{where}metrics have to be written as tables, [[kinds.metrics]].")
    own = {name: value for name, value in values.items() if name != "metrics"}
    for table in (own, *metrics):
        for name, value in table.items():
            if not isinstance(value, str | int | float):
                raise ObswarmError(f"{where}{name} has to be a text, a number, true or false.")
    return KindTable(own, tuple(metrics))


def _guard(where: str, values: Mapping[str, Any]) -> Mapping[str, str | int | float]:
    check_keys(where, values, [*GUARD_KEYS, *RENAMED_GUARD_KEYS])
    if "when" not in values:
        raise ObswarmError(f"{where}when is missing.")
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ObswarmError(f"{where}{name} is {redact_value(name, value)!r}; it has to be a text.")
    return dict(values)


def _text(where: str, values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise ObswarmError(f"{where}{name} is {redact_value(name, value)!r}; it has to be a text.")
    return value


def _duration(where: str, values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ObswarmError(f"{where}{name}: {error}.") from None


def _number(where: str, values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ObswarmError(f"{where}{name} is {value!r}; it has to be a whole number above 0.")
    return value
