"""`obswarm config`: every value and its origin, in the form of obswarm.toml."""

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from obswarm.cli.main import cli
from obswarm.config import SETTINGS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("USERS", "STAGES", "STOP_WHEN"):
        monkeypatch.delenv(f"OBSWARM_{name}", raising=False)
    return tmp_path


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["config", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def origin(text: str, key: str) -> tuple[str, str]:
    """Value and origin of the line of a key."""
    (line,) = [line for line in text.splitlines() if line.startswith((f"{key} =", f"# {key}"))]
    value, _, source = line.rpartition("# ")
    return value.strip(), source


def test_every_setting_has_a_line_with_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("obswarm.toml").write_text('run_time = "1m"\nstop_when = ["p95 > 1s"]\n')
    monkeypatch.setenv("OBSWARM_USERS", "7")
    text = shown("--spawn-rate", "2.5", "--stop-when", "p95 > 2s", "shop.py")
    assert origin(text, "spawn_rate") == ("spawn_rate = 2.5", "--spawn-rate")
    assert origin(text, "users") == ("users = 7", "OBSWARM_USERS")
    assert origin(text, "run_time") == ("run_time = 60", "run_time in obswarm.toml")
    assert origin(text, "linger") == ("linger = 20", "default")
    assert origin(text, "stop_when") == ('stop_when = ["p95 > 1s", "p95 > 2s"]', "obswarm.toml and --stop-when")
    assert origin(text, "workers") == ('workers = "auto"', "default")
    assert "# arguments: shop.py" in text
    assert "# csv is not set\n" in text
    for each in SETTINGS.values():
        if each.option:
            assert sum(line.startswith((f"{each.key} =", f"# {each.key} ")) for line in text.splitlines()) == 1


def test_it_has_the_form_of_the_file_and_says_the_same_when_it_is_that() -> None:
    options = ["--stages", "30s:5,1m:0", "--bind", "127.0.0.1:6000", "--bundle-limit", "5MiB", "--trace-sample", "1%"]
    Path("first.toml").write_text(
        "keep_runs = 3\n[[targets]]\nkind = 'mysql'\nurl = 'http://db/'\n[[guards]]\nwhen = 'p95 > 1s'\n"
    )
    text = shown(*options, "--on-alert", "scale(50%)", "--config", "first.toml")
    Path("obswarm.toml").write_text(text)
    values = tomllib.loads(text)
    assert (values["stages"], values["bind"]) == ("30s:5,60s:0", "127.0.0.1:6000")
    again = shown()
    assert tomllib.loads(again) == values
    assert origin(again, "stages")[1] == "stages in obswarm.toml"


def test_secrets_are_not_shown() -> None:
    Path("obswarm.toml").write_text("[[targets]]\nkind = 'mysql'\nurl = 'http://me:PLANTED@db/'\ntoken = 'PLANTED2'\n")
    text = shown(
        *(
            "--api-token",
            "PLANTED3",
            "--prometheus-url",
            "http://me:PLANTED4@prometheus",
            "a.py",
            "--password=PLANTED5",
        ),
        *("--prometheus-header", "Authorization: PLANTED6", "--target", "mysql=http://me:PLANTED7@db/"),
    )
    assert "PLANTED" not in text
    assert origin(text, "api_token") == ('# api_token = "***"', "--api-token")
    tomllib.loads(text)
