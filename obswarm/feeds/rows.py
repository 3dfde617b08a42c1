"""Read rows by their numbers, from files of any size with little memory.

A file is read once when it is opened, which validates all of it and notes where every `_CHUNK`-th row begins.
"""

import csv
import hashlib
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgpack

from obswarm.errors import ObswarmError, reason_of
from obswarm.feeds.definition import FeedDefinition
from obswarm.private_files import open_private
from obswarm.sanitize import clean_text
from obswarm.temporary import TemporaryFolder
from obswarm.units import counted

_CHUNK = 64
"""Rows between two places that are noted: few rows are read in vain, and ten million rows take 1.3 MB."""
_MOST_FIELD_CHARACTERS = 1024 * 1024
_MOST_HASHED = 10_000


class RowReader(Protocol):
    """Rows by number, from 0 to `count` - 1."""

    count: int

    @property
    def identity(self) -> list[Any]:
        """Values that identify the rows: a later process compares them to detect that the rows have changed."""

    def read(self, numbers: Sequence[int]) -> list[Any]:
        """Return the rows of these numbers, in this order. Raises ObswarmError if the file cannot be read any more."""


def open_rows(definition: FeedDefinition) -> RowReader:
    """Open the rows of a feed, and validate all of them. Raises ObswarmError that names file and line."""
    match definition.kind:
        case "csv":
            return _File(definition, _CsvFormat(definition))
        case "jsonl":
            return _File(definition, _JsonFormat(definition))
        case "sql":
            return _Query(definition)
    return _Values(definition)


class _Values:
    """Values that the load-test file has."""

    def __init__(self, definition: FeedDefinition) -> None:
        assert isinstance(definition.source, Sequence)
        self._values = definition.source
        self._name = definition.name
        self.count = len(self._values)
        if not self.count:
            raise ObswarmError(f"feed {definition.name}: there are no values.")
        self.read([0, self.count - 1])

    @property
    def identity(self) -> list[Any]:
        """The number of values and a hash of some of them, of all if they are few: there may be a billion."""
        some = sorted({number * (self.count - 1) // _MOST_HASHED for number in range(_MOST_HASHED + 1)})
        packed: bytes = msgpack.packb(self.read(some), unicode_errors="backslashreplace")
        return [self.count, hashlib.sha256(packed).hexdigest()]

    def read(self, numbers: Sequence[int]) -> list[Any]:
        values = [self._values[number] for number in numbers]
        try:
            msgpack.packb(values, unicode_errors="backslashreplace")
        except (TypeError, ValueError, OverflowError) as error:
            raise ObswarmError(
                f"feed {self._name}: a value cannot be sent to workers ({error}). Use texts, numbers, lists and dicts."
            ) from None
        return values


class _Format(Protocol):
    """A format of text files: yields rows from lines."""

    def begin(self, lines: Iterator[str], is_start: bool) -> None:
        """Start to read; `is_start` at the beginning of the file, where a header may be."""

    def rows(self) -> Iterator[Any]:
        """Yield rows, reading no more lines than they need. Raises ValueError with a reason for an invalid one."""

    @property
    def line(self) -> int:
        """Number of lines read since `begin`."""


def _first_twice(columns: Sequence[str]) -> str | None:
    """Return the first name that is there twice, without control characters; None if there is none."""
    return next((clean_text(name, 80) for name in columns if columns.count(name) > 1), None)


class _CsvFormat:
    def __init__(self, definition: FeedDefinition) -> None:
        self._columns = definition.columns
        self._has_header = definition.columns is None
        self._delimiter = definition.delimiter

    def begin(self, lines: Iterator[str], is_start: bool) -> None:
        # `strict` reports quotes that are not closed.
        self._reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        if is_start and self._has_header:
            header = next((row for row in self._reader if row), None)
            if header is None:
                raise ValueError("the file is empty; its first line has to name the columns")
            twice = _first_twice(header)
            if twice is not None:
                raise ValueError(f"the column {twice!r} is there twice")
            self._columns = tuple(header)

    def rows(self) -> Iterator[Any]:
        columns = self._columns
        assert columns is not None
        for row in self._reader:
            if len(row) == len(columns):
                yield dict(zip(columns, row, strict=True))
            elif row:
                raise ValueError(f"{counted(len(row), 'value')} instead of {len(columns)}")

    @property
    def line(self) -> int:
        return self._reader.line_num


class _JsonFormat:
    def __init__(self, definition: FeedDefinition) -> None:
        self._line = 0

    def begin(self, lines: Iterator[str], is_start: bool) -> None:
        self._lines, self._line = lines, 0

    def rows(self) -> Iterator[Any]:
        for line in self._lines:
            self._line += 1
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except ValueError as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                raise ValueError(f"not valid JSON: {reason}") from None
            except RecursionError:
                raise ValueError("not valid JSON: it is nested too deeply") from None

    @property
    def line(self) -> int:
        return self._line


class _File:
    """A text file. Rows are found by seeking to the last noted place before them."""

    def __init__(self, definition: FeedDefinition, form: _Format) -> None:
        assert isinstance(definition.source, str)
        self._path = Path(definition.source)
        self._name = definition.name
        encoding = definition.encoding
        # A byte-order mark is not part of the first column's name.
        self._encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        self._form = form
        self._places: list[int] = []
        self.count = 0
        csv.field_size_limit(_MOST_FIELD_CHARACTERS)
        try:
            with self._open() as file:
                self.identity = self._state = _state_of(file)
                self._index(file)
        except OSError as error:
            raise ObswarmError(f"feed {self._name}: {self._path} cannot be read: {reason_of(error)}.") from None
        except LookupError:
            raise ObswarmError(f"feed {self._name}: the encoding {encoding!r} is not known.") from None
        if not self.count:
            raise ObswarmError(f"feed {self._name}: {self._no_rows}.")

    @property
    def _no_rows(self) -> str:
        return f"{self._path} has no rows"

    def _place(self, line: int) -> str:
        return f"{self._path}, line {line}"

    def _open(self) -> io.TextIOWrapper:
        return open(self._path, encoding=self._encoding, newline="")

    def _index(self, file: io.TextIOWrapper) -> None:
        form = self._form
        # Not by the file's iterator, after which it cannot tell its position.
        lines = iter(file.readline, "")
        try:
            form.begin(lines, True)
            place = file.tell()
            for number, row in enumerate(form.rows()):
                if number % _CHUNK == 0:
                    self._places.append(place)
                _check_packable(row)
                self.count = number + 1
                if self.count % _CHUNK == 0:
                    place = file.tell()
        except UnicodeError as error:
            line, encoding = self._undecodable_line(form.line + 1), self._encoding.removesuffix("-sig")
            reason = error.reason if isinstance(error, UnicodeDecodeError) else clean_text(error)
            raise ObswarmError(
                f"feed {self._name}: {self._path}, line {line}: not valid {encoding} ({reason}). Give the file's"
                " encoding, as in encoding='latin-1'."
            ) from None
        except (ValueError, csv.Error) as error:
            raise ObswarmError(f"feed {self._name}: {self._place(max(1, form.line))}: {clean_text(error)}.") from None

    def _undecodable_line(self, otherwise: int) -> int:
        """Return the number of the first line with invalid bytes; the decoder finds them before their line is read."""
        try:
            with open(self._path, encoding=self._encoding, newline="", errors="surrogateescape") as file:
                for number, line in enumerate(iter(file.readline, ""), start=1):
                    if any("\udc80" <= character <= "\udcff" for character in line):
                        return number
        except (OSError, ValueError):
            pass
        return otherwise

    def read(self, numbers: Sequence[int]) -> list[Any]:
        found: dict[int, Any] = {}
        wanted = sorted(set(numbers))
        try:
            with self._open() as file:
                if _state_of(file) != self._state:
                    raise ObswarmError(
                        f"feed {self._name}: {self._path} has changed during the run, so that its rows are not known"
                        " any more. Write new rows to another file."
                    )
                for chunk, group in itertools.groupby(wanted, lambda number: number // _CHUNK):
                    self._read_chunk(file, chunk, list(group), found)
        except (OSError, ValueError, csv.Error) as error:
            raise ObswarmError(
                f"feed {self._name}: {self._path} cannot be read any more: {clean_text(error)}."
            ) from None
        return [found[number] for number in numbers]

    def _read_chunk(self, file: io.TextIOWrapper, chunk: int, wanted: list[int], found: dict[int, Any]) -> None:
        file.seek(self._places[chunk])
        form, first = self._form, chunk * _CHUNK
        form.begin(iter(file.readline, ""), False)
        rows = itertools.islice(form.rows(), wanted[-1] - first + 1)
        needed = set(wanted)
        found.update((number, row) for number, row in enumerate(rows, start=first) if number in needed)


def _state_of(file: io.TextIOWrapper) -> list[Any]:
    """Return size and time of the last change of an open file."""
    found = os.fstat(file.fileno())
    return [found.st_size, found.st_mtime_ns]


def _check_packable(row: Any) -> None:
    """Raise ValueError for a value of JSON that no message can have: an integer with more than 64 bits."""
    if isinstance(row, dict) and all(type(value) is str for value in row.values()):
        return
    try:
        msgpack.packb(row, unicode_errors="backslashreplace")
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"a value that cannot be sent to workers ({error})") from None


class _Query(_File):
    """The result of a query, in a temporary file of this process."""

    def __init__(self, definition: FeedDefinition) -> None:
        try:
            self._folder = TemporaryFolder("feed")
        except OSError as error:
            raise ObswarmError(
                f"feed {definition.name}: there is no place for the rows of the query: {reason_of(error)}."
            ) from None
        path = Path(self._folder.name) / "rows.jsonl"
        source = definition.source
        connect: Callable[[], Any] = source if callable(source) else lambda: _sqlite(str(source))
        try:
            made = connect()
            if not callable(getattr(made, "cursor", None)):
                raise ObswarmError(
                    f"feed {definition.name}: the function for the database returned {clean_text(repr(made), 80)}; it"
                    " has to return a DB-API connection, as sqlite3.connect does."
                )
            with open_private(path, "w", encoding="utf-8") as file, closing(made) as connection:
                cursor = connection.cursor()
                cursor.execute(definition.query)
                if cursor.description is None:
                    raise ObswarmError(f"feed {definition.name}: the statement returns no rows; write a SELECT.")
                columns = [str(column[0]) for column in cursor.description]
                twice = _first_twice(columns)
                if twice is not None:
                    raise ObswarmError(
                        f"feed {definition.name}: the query returns the column {twice!r} twice; give one of them"
                        " another name with AS."
                    )
                content = hashlib.sha256()
                while batch := cursor.fetchmany(1_000):
                    for row in batch:
                        line = json.dumps(dict(zip(columns, row, strict=False)), default=str) + "\n"
                        content.update(line.encode())
                        file.write(line)
        except ObswarmError:
            raise
        except Exception as error:
            # Of any database's driver.
            raise ObswarmError(f"feed {definition.name}: the query failed: {clean_text(error)}.") from None
        as_file = replace(definition, source=str(path), encoding="utf-8")
        super().__init__(as_file, _JsonFormat(as_file))
        # Another process has another file of the same rows.
        self.identity = [self.count, content.hexdigest()]

    @property
    def _no_rows(self) -> str:
        return "the query returned no rows"

    def _place(self, line: int) -> str:
        return f"row {line} of the query"


def _sqlite(path: str) -> Any:
    # Few load tests have a query, and few processes need the module.
    import sqlite3

    if not Path(path).is_file():
        raise OSError(f"there is no database {path}")
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)
