"""The demo goes as planned, and shows the knee."""

import json

import pytest

from tests.support.documentation import snippet
from tests.support.forked import forked_obswarm
from tests.support.patience import HANG_S
from tests.support.programs import obswarm
from tests.support.stalls import StallMeter


@pytest.mark.alone
def test_the_demo_shows_the_knee_a_guard_stops_it_and_it_exits_0(tmp_path) -> None:
    ((_, command),) = snippet("docs/getting-started.md", "obswarm demo").commands
    with StallMeter() as stalls:
        done = obswarm(*command.split()[1:], timeout=HANG_S + 60, cwd=tmp_path)
    assert done.code == 0, done.stdout + done.stderr
    assert "The knee: up to about" in done.stdout or "The site broke: from about" in done.stdout, "on a busy machine"
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["users_max"] > 500 / stalls.slowdown()
    assert result["stop_reason"]["kind"] == "guard"
    (guard,) = result["guards"]
    assert (guard["name"], guard["state"]) == ("error_ratio > 30% for 2s", "tripped")
    assert guard["value"] > 0.3
    assert "Stopped by a guard: The guard error_ratio > 30% for 2s tripped: error_ratio is" in done.stdout
    assert result["totals"]["failures"] > 0
    assert {endpoint["name"] for endpoint in result["endpoints"]} == {"/problems/{id}", "/leaderboard", "/submit"}


def test_a_demo_too_short_to_show_anything_is_refused() -> None:
    done = forked_obswarm("demo", "--duration", "3s")
    assert done.code == 2
    assert "the ramp has to take at least 15s" in done.stderr
