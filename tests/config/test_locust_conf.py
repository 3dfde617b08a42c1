"""Locust's own settings: locust.conf, [tool.locust] and LOCUST_…, read where obswarm has none of its own."""

from pathlib import Path
from typing import Any

import pytest

from obswarm.config.locust_conf import VARIABLES, parse_locust_conf, settings_of
from obswarm.config.toml_file import read_document
from obswarm.errors import ObswarmError

CONF = """
# of the shop
locustfile = load.py
headless = true
only-summary
users: 200
spawn-rate 10
--run-time = 10m
tags = [read, "search"]
host = https://shop.example/a#b   # not the staging one
; another comment
processes = -1
json-file = result
autostart = true
shop = corner
"""

VALUES = {
    "loadtest": ["load.py"],
    "headless": True,
    "only_summary": True,
    "users": 200,
    "spawn_rate": "10",
    "run_time": "10m",
    "tags": ["read", "search"],
    "host": "https://shop.example/a#b",
    "workers": -1,
    "json_file": "result",
    "autostart": True,
}


def test_a_file_as_locust_reads_it() -> None:
    found = settings_of("locust.conf: ", parse_locust_conf(CONF))
    assert (found.values, found.custom, found.cluster) == (VALUES, {"shop": "corner"}, {})


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"users": 5, "headless": False, "tags": ["a", "b"], "run_time": 20}, {"users": 5, "headless": False, "tags": ["a", "b"], "run_time": "20"}),
        ({"tags": "a b,c", "processes": "4", "json": "false"}, {"tags": ["a", "b", "c"], "workers": 4}),
        ({"json": True, "web-host": "*", "web-port": "80"}, {"json_file": "-", "metrics_addr": "0.0.0.0", "web_port": 80}),
        ({"print-stats": "false", "skip-log": "true", "html": "a.html"}, {"skip_log_setup": True, "html": "a.html"}),
        ({"expect-workers": "4", "expect-workers-max-wait": 0}, {"expect_workers": 4}),
        ({"user-classes": "A B", "config-users": '{"a": 1}'}, {"user_classes": ["A", "B"], "config_users": ['{"a": 1}']}),
        ({"master-bind-port": 5560}, {"bind": "127.0.0.1:5560"}),
        ({"master-bind-host": "*"}, {"bind": "*"}),
        ({"master-bind-host": "::1", "master-bind-port": "5560"}, {"bind": "[::1]:5560"}),
    ],
)  # fmt: skip
def test_values_of_other_types(given: dict[str, Any], values: dict[str, Any]) -> None:
    assert settings_of("", given).values == values


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("users = many", "locust.conf: users is 'many'; it has to be a whole number."),
        ("headless = perhaps", "locust.conf: headless is 'perhaps'; it has to be true or false."),
    ],
)
def test_wrong_values(text: str, sentence: str) -> None:
    with pytest.raises(ObswarmError) as error:
        settings_of("locust.conf: ", parse_locust_conf(text))
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("csv =", None),
        ("csv = # none", None),
        ("csv", "true"),
        ("csv = a b", "a b"),
        ("csv = 'a # b' # c", "a # b"),
        ('csv = "a', '"a'),
        ("csv : a;b ; c", "a;b"),
        ("csv=[a, 'b']", ["a", "b"]),
        ("csv a\ncsv b", "b"),
        ("locustfile = my tests/a.py, b.py", "my tests/a.py, b.py"),
    ],
)
def test_values_as_they_are_written(line: str, value: Any) -> None:
    assert list(parse_locust_conf(line).values()) == ([] if value is None else [value])


def test_files_are_parted_by_commas() -> None:
    assert settings_of("", {"locustfile": "my tests/a.py, b.py"}).values == {"loadtest": ["my tests/a.py", "b.py"]}


def test_files_of_settings_have_an_order_of_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()

    def where() -> str:
        document = read_document(None, tmp_path)
        return "" if document is None else f"{document.where_of('users')}{document.values['users']}"

    assert where() == ""
    (tmp_path / "home" / ".locust.conf").write_text("users = 5\nshop = far\n")
    assert where() == f"{tmp_path / 'home' / '.locust.conf'}: 5"
    (tmp_path / "locust.conf").write_text("users = 3\nspawn-rate = 7\nshop = near\n")
    assert where() == "locust.conf: 3"
    (tmp_path / "pyproject.toml").write_text("[tool.locust]\nusers = 4\n")
    assert where() == "pyproject.toml: [tool.locust] 4"
    found = read_document(None, tmp_path)
    assert found is not None
    assert (found.values["spawn_rate"], found.where_of("spawn_rate")) == ("7", "locust.conf: ")
    assert (found.custom, found.path_of("spawn_rate")) == ({"shop": "near"}, Path("locust.conf"))

    (tmp_path / "pyproject.toml").write_text("[tool.locust]\nusers = 4\n[tool.obswarm]\nusers = 2\n")
    assert where() == "pyproject.toml: [tool.obswarm] 2"
    (tmp_path / "obswarm.toml").write_text("users = 1\n")
    assert where() == "obswarm.toml: 1"


def test_a_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.conf").write_text("users = 3\nautoquit = 2\nshop = corner\n")
    document = read_document(str(tmp_path / "mine.conf"), None)
    assert document is not None
    assert (document.values, document.custom) == ({"users": 3, "autoquit": "2"}, {"shop": "corner"})
    (tmp_path / "pyproject.toml").write_text("[tool.locust]\nusers = 4\n")
    document = read_document(str(tmp_path / "pyproject.toml"), None)
    assert document is not None
    assert (document.values, document.table) == ({"users": 4}, "tool.locust")
    (tmp_path / "mine.conf").write_bytes(b"\xff\xfe\0")
    with pytest.raises(ObswarmError, match="UTF-16"):
        read_document(str(tmp_path / "mine.conf"), None)


def test_variables_are_those_of_locust() -> None:
    assert VARIABLES["spawn_rate"] == ("LOCUST_SPAWN_RATE",)
    assert VARIABLES["loadtest"] == ("LOCUST_LOCUSTFILE",)
    assert VARIABLES["headless"] == ("LOCUST_HEADLESS", "LOCUST_PRINT_STATS")
    assert "json_file" not in VARIABLES
