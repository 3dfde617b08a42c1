"""Dashboards and rules for a Grafana and a Prometheus that are there already."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.forked import forked_obswarm
from tests.support.grafana import Grafana
from tests.support.prometheus import program


@pytest.fixture
def grafana():
    made = Grafana()
    yield made
    made.close()


def test_push_puts_them_into_a_folder_that_is_made_once(grafana, tmp_path) -> None:
    for _ in range(2):
        done = forked_obswarm(
            "dashboards", "push", "--grafana-url", grafana.url, "--grafana-token", "right", cwd=tmp_path
        )
        assert done.code == 0, done.stderr
        assert done.stdout.splitlines() == [
            f"{grafana.url}/d/obswarm-{name}/x" for name in ("compare", "correlate", "generator", "run")
        ]
    assert grafana.folders == [{"uid": "f1", "title": "obswarm"}]
    order = grafana.orders[-1]
    assert (order["folderUid"], order["overwrite"], order["dashboard"]["id"]) == ("f1", True, None)


def test_push_with_a_wrong_token_or_to_nobody_is_a_sentence(grafana, tmp_path) -> None:
    wrong = forked_obswarm("dashboards", "push", "--grafana-url", grafana.url, "--grafana-token", "wrong", cwd=tmp_path)
    assert (wrong.code, "it needs the role Editor" in wrong.stderr) == (2, True)
    grafana.close()
    nobody = forked_obswarm(
        "dashboards", "push", "--grafana-url", grafana.url, "--grafana-token", "right", cwd=tmp_path
    )
    assert (nobody.code, "Grafana does not respond at" in nobody.stderr) == (2, True)


def test_export_writes_what_grafana_and_prometheus_read(tmp_path: Path) -> None:
    done = forked_obswarm("dashboards", "export", tmp_path / "there", cwd=tmp_path)
    assert done.code == 0, done.stderr
    written = [Path(line) for line in done.stdout.splitlines()]
    assert {path.name for path in written} == {
        *(f"obswarm-{name}.json" for name in ("compare", "correlate", "generator", "run")),
        "alerts.yml",
        "recording.yml",
    }
    assert json.loads((tmp_path / "there" / "obswarm-run.json").read_text())["uid"] == "obswarm-run"
    checked = subprocess.run(
        [program("promtool"), "check", "rules", *(tmp_path / "there").glob("*.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    (tmp_path / "file").touch()
    assert forked_obswarm("dashboards", "export", tmp_path / "file" / "x", cwd=tmp_path).code == 2
