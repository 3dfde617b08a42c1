"""obswarm.toml: which file is read, and what its tables have to be like."""

from pathlib import Path

import pytest

from obswarm.config import AccessConfig, FileConfig, TargetTable, read_file_config
from obswarm.config.toml_file import current_folder, read_document
from obswarm.errors import ObswarmError


def write(folder: Path, text: str | bytes, name: str = "obswarm.toml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(folder: Path, text: str | bytes, name: str = "obswarm.toml") -> str:
    """What is said about a file that is named, without its path."""
    path = write(folder, text, name)
    with pytest.raises(ObswarmError) as raised:
        read_file_config(str(path), None)
    return str(raised.value).replace(str(path), "FILE")


# Which file.
def test_no_message_without_a_file(tmp_path: Path) -> None:
    assert read_file_config(None, tmp_path) == FileConfig()
    assert read_file_config(None, None) == FileConfig()
    write(tmp_path, '[tool.ruff]\nselect = ["E"]\n', "pyproject.toml")
    assert read_document(None, tmp_path) is None


def test_the_own_file_of_a_folder_comes_before_the_table_of_a_project(tmp_path: Path) -> None:
    write(tmp_path, "[tool.obswarm]\nkeep_runs = 3\n", "pyproject.toml")
    table = read_file_config(None, tmp_path)
    assert (table.keep_runs, table.named) == (3, False)
    assert table.where == f"{tmp_path / 'pyproject.toml'}: [tool.obswarm] "
    write(tmp_path, "keep_runs = 5\n")
    assert read_file_config(None, tmp_path).keep_runs == 5


def test_a_file_that_is_named_is_read_wherever_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, "keep_runs = 5\n", "other.toml")
    found = read_file_config(str(path), None)
    assert (found.keep_runs, found.named, found.path, found.where) == (5, True, str(path), f"{path}: ")
    with pytest.raises(ObswarmError, match=r"none\.toml cannot be read: No such file or directory\.$"):
        read_file_config(str(tmp_path / "none.toml"), None)


def test_a_file_of_the_current_folder_is_called_by_its_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "keep_runs = 5\n")
    assert read_file_config(None, current_folder()).where == "obswarm.toml: "


def test_a_folder_that_was_removed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert current_folder() is None


# What is in it.
def test_a_file_with_everything(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        keep_for = "30d"
        keep_runs = 20
        stop_when = ["p95 > 2s"]
        [[targets]]
        kind = "mysql"
        url = "http://db:9104/metrics"
        name = "main"
        token = "secret"
        headers = { X-Scope-OrgID = "shop" }
        [[targets]]
        kind = "redis"
        url = "http://cache:9121/metrics"
        [[guards]]
        when = "errors > 5%"
        clear_for = 10
        """,
    )
    found = read_file_config(None, tmp_path)
    assert found.keep_for == 30 * 24 * 3600
    assert found.texts == {"stop_when": ("p95 > 2s",)}
    first, second = found.targets
    access = AccessConfig(token="secret", headers=("X-Scope-OrgID: shop",))
    assert first == TargetTable("mysql", "http://db:9104/metrics", "main", access)
    assert second == TargetTable("redis", "http://cache:9121/metrics", None, AccessConfig())
    assert found.guards == ({"when": "errors > 5%", "clear_for": 10},)
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keep_runs = 0", "FILE: keep_runs is 0; it has to be a whole number above 0."),
        ("keep_runs = true", "FILE: keep_runs is True; it has to be a whole number above 0."),
        ('keep_runs = "3"', "FILE: keep_runs is '3'; it has to be a whole number above 0."),
        ("stop_when = 'p95 > 2s'", "FILE: stop_when has to be a list of texts."),
        ("stop_when = [1]", "FILE: stop_when has to be a list of texts."),
        ("targets = 3", "FILE: targets has to be written as tables, [[targets]]."),
        ("[guards]\nwhen = 'p95 > 2s'", "FILE: guards has to be written as tables, [[guards]]."),
        ("[[targets]]\nkind = 'mysql'", "FILE: [[targets]] 1: url is missing."),
        ("[[targets]]\nurl = 'http://x'", "FILE: [[targets]] 1: kind is missing."),
        (
            "[[targets]]\nurl = 'http://x'\nkind = 'mysql'\nca-file = 'x'",
            "FILE: [[targets]] 1: unknown key 'ca-file'. Did you mean ca_file?",
        ),
        ("[[targets]]\nurl = 3\nkind = 'mysql'", "FILE: [[targets]] 1: url is 3; it has to be a text."),
        (
            "[[targets]]\nurl = 'http://x'\nkind = 'mysql'\nca_file = 3",
            "FILE: [[targets]] 1: ca_file has to be a text.",
        ),
        (
            "[[targets]]\nurl = 'http://x'\nkind = 'mysql'\nheaders = ['A: b']",
            'FILE: [[targets]] 1: headers has to be a table of texts, like { X-Scope-OrgID = "shop" }.',
        ),
        (
            "[[targets]]\nurl = 'http://x'\nkind = 'mysql'\nheaders = { A = 1 }",
            'FILE: [[targets]] 1: headers has to be a table of texts, like { X-Scope-OrgID = "shop" }.',
        ),
        (
            "[[targets]]\nurl = 'http://x'\nkind = 'mysql'\n[[targets]]\nurl = 'http://y'\nkind = 'mysql'",
            "FILE: two targets have the name 'mysql'; set `name` of one of them.",
        ),
        ("[[guards]]\nname = 'x'", "FILE: [[guards]] 1: when is missing."),
        ("[[guards]]\nwhen = true", "FILE: [[guards]] 1: when is True; it has to be a text."),
        ("[[guards]]\nwhen = 'p95 > 2s'\nclear_for = []", "FILE: [[guards]] 1: clear_for is []; it has to be a text."),
        (
            "[[guards]]\nwhen = 'p95 > 2s'\n[[guards]]\nwhen = 'p95 > 2s'\nxyz = 1",
            "FILE: [[guards]] 2: unknown key 'xyz'. Known keys: action, blind_after, clear_for, name, no_data_after,"
            " on_blind, on_no_data, when.",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(tmp_path, text) == said


def test_a_duration_that_is_none_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, "keep_for = 'long'").startswith("FILE: keep_for: ")


def test_an_own_table_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    said = refusal(tmp_path, "[tool]\nobswarm = 3\n", "pyproject.toml")
    assert said == "FILE: tool.obswarm is 3; it has to be a table: [tool.obswarm]."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("keep_runs = 3".encode("utf-16"), "FILE is in UTF-16 or UTF-32, as some editors for Windows write it"),
        ("keep_runs = 3".encode("utf-32-le"), "FILE is in UTF-16 or UTF-32, as some editors for Windows write it"),
        (b"# a\n# caf\xe9\n", "FILE, line 2, is not UTF-8; save the file as UTF-8."),
        (b"keep_runs 3", "FILE is not TOML: "),
        (b"x = " + b"[" * 100_000, "FILE is nested too deeply."),
        (b"x = " + b"1" * 5_000, "FILE is not TOML: "),
    ],
    ids=["utf-16", "utf-32", "latin-1", "no TOML", "nested", "a long number"],
)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    assert refusal(tmp_path, content).startswith(said)


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, b"\xef\xbb\xbfkeep_runs = 3")
    assert read_file_config(None, tmp_path).keep_runs == 3
