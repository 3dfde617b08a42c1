"""The committed dashboards: what Grafana will read, and what a person will."""

import json
import re
import subprocess
import sys

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.build import DASHBOARDS
from dashboards.render import USUAL, dashboards, filled, panels
from tests.support.programs import ROOT
from tests.support.prometheus import program

COMMITTED = dashboards()
UIDS = ("obswarm-compare", "obswarm-correlate", "obswarm-generator", "obswarm-run")
every = pytest.mark.parametrize("uid", UIDS)


def test_the_four_dashboards_keep_their_uids() -> None:
    assert tuple(COMMITTED) == UIDS
    assert {each.UID: each.TITLE for each in DASHBOARDS} == {uid: doc["title"] for uid, doc in COMMITTED.items()}
    assert {doc["uid"] for doc in COMMITTED.values()} == set(UIDS)


def test_the_builder_prints_what_is_committed() -> None:
    done = subprocess.run([sys.executable, ROOT / "dashboards" / "build.py", "--check"], check=False)
    assert done.returncode == 0


@every
def test_the_sdk_reads_it(uid: str) -> None:
    """Its model of a dashboard holds everything that is in the JSON but for what its annotations lack."""
    document = COMMITTED[uid]
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(json.loads(json.dumps(document)))))
    for annotation in document["annotations"]["list"]:
        for name in ("titleFormat", "textFormat", "step", "useValueForTime"):
            annotation.pop(name)
        assert annotation.pop("target")["expr"] == annotation["expr"]
    for annotation in read["annotations"]["list"]:
        annotation.pop("target")  # It takes it for one of Grafana's own annotations.
    assert read == document


@every
def test_every_panel_says_what_it_is(uid: str) -> None:
    for panel in panels(COMMITTED[uid]):
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert len(panel["description"]) > 40, panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["decimals"] is not None, panel["title"]
        if panel["type"] != "heatmap":
            assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["interval"] == "1s", "rates over four scrapes"
    titles = [panel["title"] for panel in panels(COMMITTED[uid])]
    assert len(set(titles)) == len(titles) or uid == "obswarm-correlate"


@every
def test_no_two_panels_overlap(uid: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    lists = [COMMITTED[uid]["panels"], *(p["panels"] for p in COMMITTED[uid]["panels"] if p.get("panels"))]
    ids = [panel["id"] for each in lists for panel in each]
    assert len(set(ids)) == len(ids)
    for each in lists:
        taken.clear()
        for panel in each:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    other = taken.setdefault((x, y), panel["title"])
                    assert other == panel["title"], (other, panel["title"])


@every
def test_variables_marks_and_links(uid: str) -> None:
    document = COMMITTED[uid]
    names = [variable["name"] for variable in document["templating"]["list"]]
    assert names[:5] == ["datasource", "job", "endpoint", "user_class", "instance"]
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(document)))
    assert used <= {*names, *USUAL}
    assert [mark["name"] for mark in document["annotations"]["list"]] == [
        "Start",
        "Takeover",
        "Stop",
        "Stages",
        "Guards and alerts",
        "Releases",
    ]
    assert document["graphTooltip"] == 1, "a crosshair for all panels"
    assert [(link["type"], link["tags"], link["keepTime"]) for link in document["links"]] == [
        ("dashboards", ["obswarm"], True)
    ]
    assert document["tags"] == ["obswarm"]


def test_filled_as_grafana_does() -> None:
    assert filled('rate(a{job=~"$job"}[$__rate_interval] offset $shift)', {"shift": "5m"}) == (
        'rate(a{job=~".*"}[4s] offset 5m)'
    )


@pytest.mark.parametrize(
    "words", [["check", "rules", "recording.yml", "alerts.yml"], ["test", "rules", "tests/rules.yml"]]
)
def test_promtool_has_no_complaint_about_the_rules(words: list[str]) -> None:
    done = subprocess.run(
        [program("promtool"), *words], cwd=ROOT / "dashboards" / "rules", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_happens_and_where_to_read_on() -> None:
    import yaml

    groups = yaml.safe_load((ROOT / "dashboards" / "rules" / "alerts.yml").read_text())["groups"]
    alerts = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    assert set(alerts) == {
        "ErrorSpike",
        "LatencyObjectiveBroken",
        "ThroughputCollapsed",
        "GeneratorSaturated",
        "WorkersMissing",
        "TargetDown",
        "DatabaseThreadsSaturated",
        "DatabaseLatencyHigh",
        "DatabaseConnectionsExhausted",
        "CacheEvicts",
        "AppWorkersExhausted",
        "LoadBalancerBackendDown",
        "ContainerThrottled",
    }
    page = (ROOT / "docs" / "dashboards.md").read_text()
    tested = yaml.safe_load((ROOT / "dashboards" / "rules" / "tests" / "rules.yml").read_text())["tests"]
    cases = [case for test in tested for case in test.get("alert_rule_test", ())]
    for name, rule in alerts.items():
        assert rule["labels"]["obswarm_action"] in ("stop", "hold", "notify")
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert "$value" in rule["annotations"]["description"]
        assert rule["annotations"]["runbook_url"] == f"docs/dashboards.md#{name.lower()}"
        assert f"### {name}\n" in page
        fires = [case for case in cases if case["alertname"] == name and case.get("exp_alerts")]
        silent = [case for case in cases if case["alertname"] == name and not case.get("exp_alerts")]
        assert fires, name
        assert silent, name
