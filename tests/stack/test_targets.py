"""Targets as files that Prometheus reads."""

import json

import pytest

from obswarm.stack import Project, write_targets
from obswarm.stack.target_files import entry
from obswarm.targets import Target


@pytest.mark.parametrize(
    ("url", "address", "labels"),
    [
        ("http://db:9104/metrics", "db:9104", {"__scheme__": "http", "__metrics_path__": "/metrics"}),
        ("http://127.0.0.1:9104/metrics", "host.docker.internal:9104", {"__metrics_path__": "/metrics"}),
        ("http://localhost:9104", "host.docker.internal:9104", {"__metrics_path__": "/"}),
        (
            "https://example.com/m?target=a&x=1",
            "example.com:443",
            {"__scheme__": "https", "__param_target": "a", "__param_x": "1"},
        ),
        ("http://[2001:db8::1]/metrics", "[2001:db8::1]:80", {}),
        ("http://[::1]:1/metrics", "host.docker.internal:1", {}),
    ],
)
def test_a_url_becomes_an_address_and_labels(url: str, address: str, labels: dict[str, str]) -> None:
    made = entry(Target("the db", url, "mysql"))
    assert made["targets"] == [address]
    assert made["labels"]["job"] == "the db"
    assert made["labels"]["kind"] == "mysql"
    assert labels.items() <= made["labels"].items()


def test_files_of_targets_that_are_gone_are_removed(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OBSWARM_STATE_HOME", str(tmp_path))
    project = Project("one")
    shipped = tmp_path / "exporters.json"
    shipped.write_text("[]")
    write_targets(project, [Target("a/b", "http://a:1", "app"), Target("c", "http://c:1", "app")], [shipped])
    assert {path.name for path in project.targets.iterdir()} == {"target-a-b.json", "target-c.json", "exporters.json"}
    write_targets(project, [Target("c", "http://other:1", "app")])
    assert {path.name for path in project.targets.iterdir()} == {"target-c.json"}
    assert json.loads((project.targets / "target-c.json").read_text())[0]["targets"] == ["other:1"]
