"""Kinds of targets of a configuration, and `obswarm targets --kind-of`."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from obswarm.api import ObswarmError
from obswarm.app.sources import add_kinds
from obswarm.cli.main import cli
from obswarm.config.tables import read_file_config
from obswarm.targets import KINDS, guess_kinds
from obswarm.targets.kind_metrics import metrics_of
from obswarm.targets.kinds import ANY

KIND = """
[[kinds]]
name = "jobs"
layer = "broker"

[[kinds.metrics]]
name = "jobs waiting"
query = "QUERY"
unit = "number"
"""


@pytest.fixture(autouse=True)
def without_kinds_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KINDS, "_added", {})


def read(folder: Path, text: str) -> None:
    (folder / "obswarm.toml").write_text(text)
    add_kinds(read_file_config(None, folder))


def test_kinds_of_the_file_are_known_afterwards(tmp_path: Path) -> None:
    read(tmp_path, KIND.replace("QUERY", "sum(jobs_waiting)"))
    assert KINDS["jobs"].layer == "broker"
    assert metrics_of("jobs") == {"jobs_waiting"}
    assert [guess.kind.name for guess in guess_kinds({"jobs_waiting", "process_open_fds"})] == ["jobs"]


def test_a_kind_replaces_a_built_in_one(tmp_path: Path) -> None:
    read(tmp_path, KIND.replace("QUERY", "sum(jobs_waiting)").replace('"jobs"', '"mysql"'))
    assert metrics_of("mysql") == {"jobs_waiting"}
    assert list(KINDS).count("mysql") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (KIND.replace("QUERY", "sum("), "[[kinds]] 1: query of 'jobs waiting': "),
        (
            KIND.replace("QUERY", "jobs_waiting"),
            "[[kinds]] 1: query of 'jobs waiting': write each metric with a function",
        ),
        (KIND.replace("QUERY", "1 + 1"), "[[kinds]] 1: query of 'jobs waiting': write each metric with a function"),
        (KIND.replace("broker", "front"), "[[kinds]] 1: layer is 'front'; it has to be one of balancer, "),
        ("[[kinds]]\nname = 'x'\nlayer = 'pool'\nmetrics = [1]\n", "metrics have to be written as tables"),
        ("[[kinds]]\nname = ['x']\n", "[[kinds]] 1: name has to be a text, a number, true or false."),
        ("kinds = 5\n", "kinds has to be written as tables, [[kinds]]."),
    ],
)
def test_a_wrong_kind_is_refused_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ObswarmError) as refused:
        read(tmp_path, text)
    assert message in str(refused.value)


def test_a_kind_is_guessed_by_its_metrics_and_not_by_those_of_its_runtime() -> None:
    of_runtime = {"go_goroutines", "process_open_fds", "process_cpu_seconds_total"}
    assert [guess.kind.name for guess in guess_kinds({*of_runtime, "redis_connected_clients"})] == ["redis"]
    assert guess_kinds(of_runtime)[0].kind.name == "go"
    assert guess_kinds({"of_nobody"}) == []


@pytest.mark.parametrize("kind", [name for name in KINDS if name != ANY])
def test_every_kind_is_guessed_from_its_own_metrics(kind: str) -> None:
    guess = guess_kinds(metrics_of(kind))[0]
    assert guess.kind.name == kind
    assert guess.found == guess.used


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql", "--kind-of: 'mysql' is not a URL"),
        ("http://127.0.0.1:9/metrics", "--kind-of: http://127.0.0.1:9/metrics: "),
    ],
)
def test_an_endpoint_that_cannot_be_scraped_is_an_error(url: str, message: str) -> None:
    done = CliRunner().invoke(cli, ["targets", "--kind-of", url])
    assert isinstance(done.exception, ObswarmError)
    assert str(done.exception).startswith(message)
