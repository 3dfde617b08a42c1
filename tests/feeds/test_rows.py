"""Rows of files: encodings, quoted line breaks, errors with their line, and flat memory."""

import csv
import errno
import json
import os
import random
import sqlite3
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.errors import ObswarmError
from obswarm.feeds import FeedDefinition, RowReader, open_rows

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


def of_csv(path: Path, **options: Any) -> RowReader:
    return open_rows(FeedDefinition(path.name, "csv", str(path), **options))


def every(rows: RowReader) -> list[Any]:
    return rows.read(range(rows.count))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_of_a_file_in_any_encoding(encoding: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = end.join(["name,note", "Jürgen,a", "", '"Zoë","two\nlines, ""quoted"""', "x,y"] * 1)
    path.write_bytes((text + end).encode(encoding))
    given_as = encoding if encoding in ("utf-16", "latin-1") else "utf-8"
    assert every(of_csv(path, encoding=given_as)) == [
        {"name": "Jürgen", "note": "a"},
        {"name": "Zoë", "note": 'two\nlines, "quoted"'},
        {"name": "x", "note": "y"},
    ]


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=300), st.randoms())
def test_any_rows_are_found_by_their_numbers(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[str, str]], chance: random.Random
) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["a", "b"])
        writer.writerows(values)
    rows = of_csv(path)
    numbers = [chance.randrange(len(values)) for _ in range(20)]
    assert rows.read(numbers) == [dict(zip("ab", values[number], strict=True)) for number in numbers]


def test_a_file_without_a_header_and_with_another_delimiter(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeff1;2\n3;4\n")
    rows = of_csv(tmp_path / "a.csv", columns=("x", "y"), delimiter=";")
    assert every(rows) == [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]


def test_json_lines_may_be_any_values(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": [1, null]}\n\n"text"\n7\n')
    assert every(open_rows(FeedDefinition("a", "jsonl", str(tmp_path / "a.jsonl")))) == [{"a": [1, None]}, "text", 7]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "line 1: the file is empty; its first line has to name the columns."),
        (b"a,b\n", "has no rows."),
        (b"a,a\n1,2\n", "line 1: the column 'a' is there twice."),
        (b"a,b\n1,2\n3\n", "line 3: 1 value instead of 2."),
        (b'a,b\n"1\n\n",2\n3,4,5\n', "line 5: 3 values instead of 2."),
        (b'a,b\n1,2\n3,"4\n5,6\n', "line 4: unexpected end of data."),
        (b'a,b\n1,"2"x\n', "line 2: ',' expected after '\"'."),
        (b"a,b\n" + b"1,2\n" * 5000 + b"3,\xff\n", "line 5002: not valid utf-8 (invalid start byte). Give the file's"),
    ],
)
def test_a_bad_file_is_an_error_with_the_line(content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ObswarmError) as raised:
        of_csv(tmp_path / "a.csv")
    assert str(raised.value).startswith(f"feed a.csv: {tmp_path}/a.csv")
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a": 1}\n{"a": \n', "line 2: not valid JSON: Expecting value."),
        ("[" * 100_000, "line 1: not valid JSON: it is nested too deeply."),
        ("1" + "0" * 30, "line 1: a value that cannot be sent to workers"),
    ],
)
def test_a_bad_json_file_is_an_error_with_the_line(content: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(ObswarmError, match="feed a") as raised:
        open_rows(FeedDefinition("a", "jsonl", str(tmp_path / "a.jsonl")))
    assert expected in str(raised.value)


def test_a_file_that_cannot_be_opened_and_an_unknown_encoding(tmp_path: Path) -> None:
    with pytest.raises(ObswarmError, match="cannot be read: No such file"):
        of_csv(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(ObswarmError, match="the encoding 'utf-9' is not known"):
        of_csv(tmp_path / "a.csv", encoding="utf-9")


@pytest.mark.parametrize("content", ["a\n1\n", "a\n" + "2\n" * 200, "a\n" + "1\n" * 300])
def test_a_file_that_changes_during_the_run_is_an_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n" + "1\n" * 200)
    rows = of_csv(path)
    assert rows.read([150]) == [{"a": "1"}]
    os.utime(path, ns=(0, path.stat().st_mtime_ns))
    assert rows.read([150]) == [{"a": "1"}], "it was only read"
    path.write_text(content)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))
    with pytest.raises(
        ObswarmError, match=r"a\.csv has changed during the run, so that its rows are not known any more"
    ):
        rows.read([0])


def test_what_rows_are_the_same_ones_in_a_later_process(tmp_path: Path) -> None:
    def of_query(rows: list[int], order: str) -> list[object]:
        path = tmp_path / "a.db"
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE t (a INTEGER)")
            connection.executemany("INSERT INTO t VALUES (?)", [(row,) for row in rows])
        return open_rows(FeedDefinition("q", "sql", str(path), query=f"SELECT a FROM t {order}")).identity

    assert of_query([1, 2], "ORDER BY a") == of_query([2, 1], "ORDER BY a") == of_query([1, 2], "")
    assert len({str(each) for each in (of_query([1, 2], ""), of_query([2, 1], ""), of_query([1, 3], ""))}) == 3

    def of_values(values: Sequence[object]) -> list[object]:
        return open_rows(FeedDefinition("s", "sequence", values)).identity

    assert of_values(["a", "b"]) == of_values(("a", "b")) != of_values(["b", "a"])
    assert of_values(range(1_000_000_000)) != of_values(range(1, 1_000_000_001))
    changed = ["x"] * 5_000
    changed[4_321] = "y"
    assert of_values(["x"] * 5_000) != of_values(changed)


def test_values_of_the_load_test() -> None:
    rows = open_rows(FeedDefinition("s", "sequence", range(5, 1_000_000_000)))
    assert (rows.count, rows.read([0, 999_999_994])) == (999_999_995, [5, 999_999_999])
    with pytest.raises(ObswarmError, match="there are no values"):
        open_rows(FeedDefinition("s", "sequence", []))
    with pytest.raises(ObswarmError, match="cannot be sent to workers"):
        open_rows(FeedDefinition("s", "sequence", [object()]))


def test_rows_of_a_query(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (name TEXT, age INTEGER)")
        connection.executemany("INSERT INTO users VALUES (?, ?)", [("a\nb", 1), ("ü", None)])
    query = "SELECT name, age FROM users ORDER BY name"
    expected = [{"name": "a\nb", "age": 1}, {"name": "ü", "age": None}]
    assert every(open_rows(FeedDefinition("q", "sql", str(path), query=query))) == expected
    assert every(open_rows(FeedDefinition("q", "sql", lambda: sqlite3.connect(path), query=query))) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT nobody", "the query failed: no such column: nobody."),
        ("SELECT 1 WHERE 0", "feed q: the query returned no rows."),
        ("SELECT 1 AS id, 2 AS id", "feed q: the query returns the column 'id' twice; give one of them another name"),
        ("CREATE TEMP TABLE t (a)", "the statement returns no rows; write a SELECT."),
    ],
)
def test_a_query_that_fails_is_an_error(query: str, expected: str, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "a.db").close()
    (tmp_path / "a.db").touch()
    with pytest.raises(ObswarmError, match="feed q") as raised:
        open_rows(FeedDefinition("q", "sql", str(tmp_path / "a.db"), query=query))
    assert expected in str(raised.value)


@pytest.mark.parametrize("made", [None, 5, "a.db"])
def test_a_function_that_returns_no_connection_is_an_error(made: Any) -> None:
    with pytest.raises(
        ObswarmError, match="feed q: the function for the database returned .*; it has to return a DB-API"
    ):
        open_rows(FeedDefinition("q", "sql", lambda: made, query="SELECT 1"))


def test_a_value_of_a_query_that_cannot_be_sent_is_named_by_its_row() -> None:
    class Connection:
        description = (("a",),)

        def __init__(self) -> None:
            self.rows = [(1,), (2**70,)]

        def cursor(self) -> "Connection":
            return self

        def execute(self, query: str) -> None: ...

        def fetchmany(self, number: int) -> list[Any]:
            rows, self.rows = self.rows, []
            return rows

        def close(self) -> None: ...

    with pytest.raises(ObswarmError, match="feed q: row 2 of the query: a value that cannot be sent to workers"):
        open_rows(FeedDefinition("q", "sql", Connection, query="SELECT 1"))


def test_a_database_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ObswarmError, match="there is no database"):
        open_rows(FeedDefinition("q", "sql", str(tmp_path / "none.db"), query="SELECT 1"))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A file of 20 MB; benchmarks/feed.py has one of 1 GB."""
    path = tmp_path / "a.csv"
    with open(path, "w") as file:
        file.write("name,password,note\n")
        for number in range(200_000):
            file.write(f"user-{number},{number:032},{'x' * 50}\n")
    tracemalloc.start()
    rows = of_csv(path)
    read = rows.read([random.Random(1).randrange(200_000) for _ in range(1000)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows.count == 200_000
    assert json.dumps(read).count("user-") == 1000
    assert peak < 3_000_000


def test_a_query_whose_rows_have_no_place_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    definition = FeedDefinition("q", "sql", lambda: sqlite3.connect(":memory:"), query="SELECT 1")
    for broken, reason in (
        ("TemporaryFolder", "query: No space left on device"),
        ("open_private", "feed q: the query failed: .*No space left"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(f"obswarm.feeds.rows.{broken}", full)
            with pytest.raises(ObswarmError, match=reason):
                open_rows(definition)
