"""Generate functions over all fields of an endpoint's statistics that have a line for each field instead of a loop.

A master merges and copies the endpoints of all its workers each second, and a loop over the fields takes twice as
long. The lines are generated from the list of fields, as `dataclasses` generates `__init__`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from obswarm.stats.fields import Field, Kind, Plain


def empty_function(fields: Iterable[Field]) -> Callable[[Any], None]:
    """Return a function of an object that sets each field to `Kind.empty`."""
    return _generate("mine", {field.name: (_empty_line(field), field.kind.empty) for field in fields})


def merge_function(fields: Iterable[Field]) -> Callable[[Any, Any], None]:
    """Return a function of two objects that sets each field of the first to `Kind.merge` of both."""
    return _generate("mine, theirs", {field.name: (_combine_line(field), field.kind.merge) for field in fields})


def subtract_function(fields: Iterable[Field]) -> Callable[[Any, Any], None]:
    """Return a function of two objects that sets each field of the first to `Kind.subtract` of both."""
    return _generate("mine, theirs", {field.name: (_combine_line(field), field.kind.subtract) for field in fields})


def copy_function(fields: Iterable[Field]) -> Callable[[Any, Any], None]:
    """Return a function of two objects that sets each field of the first to `Kind.copy` of the second's."""
    return _generate("mine, theirs", {field.name: (_copy_line(field), field.kind.copy) for field in fields})


def _empty_line(field: Field) -> str:
    empty = field.kind.empty()
    # A literal needs no call.
    value = repr(empty) if isinstance(empty, int | dict | None) else f"{field.name}()"
    return f"mine.{field.name} = {value}"


def _combine_line(field: Field) -> str:
    line = f"mine.{field.name} = {field.name}(mine.{field.name}, theirs.{field.name})"
    if type(field.kind).is_empty is Kind.is_empty:
        # Most fields are empty, and an empty value does not change anything.
        return f"if theirs.{field.name}: {line}"
    return line


def _copy_line(field: Field) -> str:
    if isinstance(field.kind, Plain):
        return f"mine.{field.name} = theirs.{field.name}"
    if field.kind.empty() is None:
        return f"mine.{field.name} = None if theirs.{field.name} is None else {field.name}(theirs.{field.name})"
    return f"mine.{field.name} = {field.name}(theirs.{field.name})"


def _generate(parameters: str, lines: Mapping[str, tuple[str, Callable[..., Any]]]) -> Callable[..., None]:
    """Return a function of these lines; each may call its function by the name of the field."""
    namespace: dict[str, Any] = {name: method for name, (_, method) in lines.items()}
    body = "".join(f"    {line}\n" for line, _ in lines.values())
    exec(f"def straight({parameters}):\n{body}", namespace)
    generated: Callable[..., None] = namespace["straight"]
    return generated
