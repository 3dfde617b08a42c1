import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm.api import ObswarmError
from obswarm.app.guards_setup import guards_of, simple_guards
from obswarm.config import RunConfig
from obswarm.guards import Guard, configured_guards


def run_of(planned_s: float | None) -> Any:
    return SimpleNamespace(observer=None, run_id="r", annotate=None, statistics=SimpleNamespace(planned_s=planned_s))


@pytest.mark.parametrize(("planned_s", "is_warned_of"), [(60.0, True), (59.0, True), (61.0, False), (None, False)])
def test_a_guard_that_needs_more_time_than_the_run_has_is_warned_of(caplog, planned_s, is_warned_of: bool) -> None:
    guards = simple_guards([Guard("error_ratio > 5% for 1m"), Guard("p95 > 1s")])
    with caplog.at_level(logging.WARNING):
        guards.attach(run_of(planned_s))
    expected = "The guard error_ratio > 5% for 1m cannot trip: its condition has to hold for 1m, but the run takes"
    assert [text for text in caplog.messages if text.startswith(expected)] == caplog.messages
    assert len(caplog.messages) == is_warned_of


@pytest.mark.parametrize(("token", "is_shown"), [(None, True), ("", True), ("known", False)])
def test_a_token_for_alerts_that_nobody_has_given_is_made_and_shown(token: str | None, is_shown: bool) -> None:
    config = RunConfig()
    guards = guards_of(replace(config, guards=replace(config.guards, alerts_token=token)), ())
    assert ("bearer token" in guards.notice("http://127.0.0.1:8089")[1]) is is_shown


def test_guards_of_options_may_have_a_name_behind_their_action() -> None:
    given = {
        "stop_when": ("slow: p95 > 2s for 5s", "p95 > 2s"),
        "guards": ("scale(50%): half: p95 > 1s", "hold: promql(a:b) > 1"),
    }
    rules = configured_guards(RunConfig.of(given, {}), ())
    assert [(rule.name, str(rule.action), str(rule.when)) for rule in rules] == [
        ("slow", "stop", "p95 > 2s for 5s"),
        ("p95 > 2s", "stop", "p95 > 2s"),
        ("half", "scale(50%)", "p95 > 1s"),
        ("promql(a:b) > 1", "hold", "promql(a:b) > 1"),
    ]


@pytest.mark.parametrize(
    ("option", "text", "sentence"),
    [
        ("stop-when", "notify: p95 > 2s", "--stop-when: 'notify' is an action, and this guard's is stop"),
        ("guard", "hold: stop: p95 > 2s", "--guard: 'stop' is an action, and this guard's is hold"),
        ("guard", "slow: p95 > 2s", "--guard: 'slow' is not an action; write stop, abort"),
        ("guard", "p95 > 2s", "--guard 'p95 > 2s': write it like"),
        ("hold-when", ": p95 > 2s", "--hold-when: Expected a name before the colon"),
        ("hold-when", "slow: p95 > 2", "--hold-when: Expected a duration for p95"),
    ],
)
def test_what_is_wrong_with_a_guard_of_an_option_is_a_sentence(option: str, text: str, sentence: str) -> None:
    with pytest.raises(ObswarmError) as raised:
        configured_guards(RunConfig.of({"guards" if option == "guard" else option.replace("-", "_"): (text,)}, {}), ())
    assert str(raised.value).startswith(sentence)
