"""What is kept of a stack between commands, and who may read it."""

import json

import pytest
import yaml

from obswarm.api import ObswarmError
from obswarm.stack import Project
from obswarm.stack.docker_engine import as_numbers
from obswarm.stack.project import compose_file


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OBSWARM_STATE_HOME", str(tmp_path))
    return tmp_path


def test_a_project_is_the_same_when_it_is_read_again() -> None:
    made = Project("mine", workers=3, demo=True, environment={"KEY": "it's $5 \\ here"}, ports={"web": 1234})
    made.save()
    assert Project.named("mine") == made
    assert Project.named("other").api_token != made.api_token
    made.forget()
    assert not Project.named("mine").exists


def test_only_its_owner_reads_tokens() -> None:
    made = Project("mine")
    made.save()
    assert made.folder.stat().st_mode & 0o777 == 0o700
    secret = (made.api_token, made.alerts_token, made.secret, made.grafana_password)
    for path in made.folder.iterdir():
        if path.is_file() and any(text in path.read_text() for text in secret):
            # Alertmanager runs as somebody else; the folder keeps everybody else out.
            assert path.stat().st_mode & 0o777 == (0o644 if path.name == "alerts_token" else 0o600), path


def test_values_come_through_composes_interpolation() -> None:
    made = Project("mine", environment={"KEY": "a $HOME ${x} b"})
    made.save()
    added = yaml.safe_load((made.folder / "loadtest.yaml").read_text())
    assert added["services"]["worker"]["environment"] == {"KEY": "a $$HOME $${x} b"}
    lines = (made.folder / "stack.env").read_text().splitlines()
    assert "OBSWARM_WORKERS='1'" in lines


def test_every_variable_of_the_compose_file_is_known_or_has_a_usual_value() -> None:
    services = yaml.safe_load(compose_file().read_text())["services"]
    text = json.dumps(services)
    for part in text.split("${")[1:]:
        assert ":-" in part.partition("}")[0], part[:40]


@pytest.mark.parametrize("name", ["", "A", "a/b", "../x", "-a", "a" * 60])
def test_a_name_that_compose_would_not_take(name: str) -> None:
    with pytest.raises(ObswarmError, match="--project"):
        Project.named(name)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": 1, "workers": '])
def test_a_damaged_file_is_a_sentence(home, text: str) -> None:
    folder = home / "stacks" / "mine"
    folder.mkdir(parents=True)
    (folder / "project.json").write_text(text)
    with pytest.raises(ObswarmError, match=r"project\.json cannot be read"):
        Project.named("mine")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("20.10.24+dfsg1", (20, 10, 24)), ("2.40.3-3", (2, 40, 3)), ("v2.20.0", (2, 20, 0)), ("28", (28,)), ("dev", ())],
)
def test_versions(text: str, numbers: tuple[int, ...]) -> None:
    assert as_numbers(text) == numbers
