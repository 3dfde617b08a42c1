"""Command lines of Locust as those of obswarm."""

from pathlib import Path

import click
import pytest

from obswarm.cli.locust_line import Role, role_of, translated
from obswarm.cli.main import cli
from obswarm.errors import ObswarmError


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("-T a b -u 5", "-T|a b|-u|5"),
        ("--tags a b Visitor", "--tags|a b Visitor"),
        ("-T a load.py", "-T|a|load.py"),
        ("-T -u 5", "-u|5"),
        ("-E a b -T c", "-E|a b|-T|c"),
        ("-Ta b", "-Ta|b"),
        ("--tags=a,b Visitor", "--tags=a,b|Visitor"),
        ("-u 5 -- -T a b", "-u|5|--|-T|a|b"),
        ("--json", "--json-file|-"),
        ("--json -u 5", "--json-file|-|-u|5"),
        ("--json load.py", "--json-file|-|load.py"),
        ("--json -", "--json|-"),
        ("--json r.json", "--json|r.json"),
        ("--config-users a.json b.json -u 5", "--config-users|a.json|--config-users|b.json|-u|5"),
        ("--master http://x", "--master|http://x"),
        ("--master-bind-port 5", "--master-bind-port|5"),
    ],
)
def test_forms_of_options(line: str, ours: str) -> None:
    assert "|".join(translated(["run", *line.split()], cli.commands)[1:]) == ours


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("--master-bind-host=10.0.0.1 --master-bind-port 5 -u 5", "-u|5|--bind|10.0.0.1:5"),
        ("--master-bind-port 5 --bind 10.0.0.1:6", "--bind|10.0.0.1:6"),
        ("--master-bind-host *", "--bind|*"),
        ("--master -u 5", "-u|5"),
        ("", "--bind|127.0.0.1:7"),
    ],
)
def test_addresses_of_a_master(line: str, ours: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not line:
        monkeypatch.setenv("LOCUST_MASTER_BIND_PORT", "7")
    assert "|".join(translated(["master", *line.split()], cli.commands)[1:]) == ours


@pytest.mark.parametrize(
    ("line", "role"),
    [
        ("-u 5", None),
        ("--master http://x -u 5", None),
        ("--master=http://x", None),
        ("--master -u 5", Role("master", ["-u", "5"])),
        ("-u 5 --master", Role("master", ["-u", "5"])),
        ("--worker Visitor", Role("worker", ["--master=127.0.0.1:5557", "--loglevel=INFO"])),
        (
            "--worker --master-host ::1 --master-port=7 -f - --processes 3 -L debug --logfile a.log --secret-file s",
            Role(
                "worker",
                [
                    "--master=[::1]:7",
                    "--processes=3",
                    "--loglevel=DEBUG",
                    "--logfile=a.log",
                    "--secret-file",
                    "s",
                ],
            ),
        ),
    ],
)
def test_roles_on_the_command_line(line: str, role: Role | None) -> None:
    assert role_of(line.split()) == role


def test_roles_from_the_environment_and_locust_conf(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty / "locust.conf").write_text("worker = true\nmaster-host = 10.0.0.1\nusers = 5\n")
    assert role_of([]) == Role("worker", ["--master=10.0.0.1:5557", "--loglevel=INFO"])
    monkeypatch.setenv("LOCUST_MASTER_NODE_PORT", "6")
    assert role_of([]) == Role("worker", ["--master=10.0.0.1:6", "--loglevel=INFO"])
    assert role_of(["--master", "http://x"]) is None
    (empty / "locust.conf").write_text("users = 5\n")
    monkeypatch.setenv("LOCUST_MODE_MASTER", "true")
    assert role_of(["-u", "5"]) == Role("master", ["-u", "5"])
    monkeypatch.setenv("LOCUST_MODE_MASTER", "perhaps")
    with pytest.raises(click.UsageError, match=r"LOCUST_MODE_MASTER \(environment\) is 'perhaps'; it has to be true"):
        role_of([])


def test_the_files_of_a_worker(empty: Path) -> None:
    (empty / "tests").mkdir()
    for name in ("b.py", "a.py", "_c.py"):
        (empty / "tests" / name).touch()
    role = role_of(["--worker", "-f", "tests"])
    assert role is not None
    assert role.arguments[2:] == ["tests/a.py", "tests/b.py"]
    with pytest.raises(ObswarmError, match=r"No such load-test file: none\.py"):
        role_of(["--worker", "-f", "none.py"])


def test_what_excludes_each_other() -> None:
    with pytest.raises(click.UsageError, match="--master and --worker exclude each other"):
        role_of(["--master", "--worker"])
    with pytest.raises(click.UsageError, match="Argument --master-port: invalid int value"):
        role_of(["--worker", "--master-port", "x"])


def test_a_run_becomes_another_command() -> None:
    line = translated(["run", "--worker", "--master-port", "7"], cli.commands)
    assert line == ["worker", "--master=127.0.0.1:7", "--loglevel=INFO"]
    line = translated(["run", "load.py", "--master", "--expect-workers", "4", "-T", "a", "b"], cli.commands)
    assert line == ["master", "load.py", "--expect-workers", "4", "-T", "a b"]
    ctx = cli.commands["master"].make_context("master", line[1:], click.Context(cli, info_name="obswarm"))
    assert (ctx.params["expect_workers"], ctx.params["tags"]) == (4, ("a b",))


@pytest.mark.parametrize("line", ["", "load.py -u 5 --json r.json", "--stop-when x --json=- -- -T a"])
def test_a_line_without_forms_of_locust_is_left_as_it_is(line: str) -> None:
    assert translated(["run", *line.split()], cli.commands) == ["run", *line.split()]
