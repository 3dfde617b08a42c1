"""A RunConfig arrives as it was sent, and nothing else is taken for one."""

from typing import Any

import msgpack
import pytest

from obswarm.config import (
    SETTINGS,
    AccessConfig,
    BadConfig,
    FileConfig,
    Origin,
    RunConfig,
    Scope,
    Source,
    TargetTable,
    from_master,
    from_wire,
    to_wire,
    to_workers,
)

RELEASE = "1.0.0"
SAMPLES: dict[Any, Any] = {
    bool: True,
    int: 7,
    int | None: 7,
    float: 1.5,
    float | None: 1.5,
    str: "capacity",
    str | None: "a text",
    tuple[str, ...]: ("one", "two"),
    tuple[str, int]: ("127.0.0.2", 9),
    tuple[tuple[float, int], ...] | None: ((1.5, 3), (2.0, 0)),
}
CHOSEN = {"arrivals": "poisson", "loglevel": "DEBUG", "balance": "equal", "earlier_alerts": "wait"}
VALUES = {name: CHOSEN.get(name, SAMPLES[each.type]) for name, each in SETTINGS.items()}
FULL = RunConfig.of(
    VALUES,
    {name: Origin(Source.FILE, f"{name} in obswarm.toml") for name in SETTINGS},
    FileConfig(
        "obswarm.toml",
        "obswarm.toml: ",
        True,
        {"stop_when": ("p95 > 1s",)},
        5.0,
        3,
        (TargetTable("mysql", "http://db/", None, AccessConfig(token="secret", headers=("A: b",))),),
        ({"when": "p95 > 1s", "clear_for": 5, "no_data_after": 1.5},),
    ),
)


def sent(config: RunConfig) -> Any:
    """What arrives of it."""
    return msgpack.unpackb(msgpack.packb(to_wire(config, RELEASE)))


def test_what_concerns_the_run_arrives_and_what_is_local_stays() -> None:
    arrived = from_wire(sent(FULL), RELEASE)
    for name, each in SETTINGS.items():
        assert arrived.value(name) == (VALUES[name] if each.travels else each.default)
        assert arrived.is_given(name) is each.travels
    assert arrived.file == FULL.file
    assert from_wire(sent(arrived), RELEASE) == arrived


def changed(path: str, value: Any) -> Any:
    document = sent(FULL)
    place = document
    *groups, last = path.split(".")
    for name in groups:
        place = place[int(name) if name.isdecimal() else name]
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("config", 5, "the configuration has missing or unknown fields"),
        ("config.load", {}, "load has missing or unknown fields"),
        ("config.load.users", "5", "load.users has the wrong type"),
        ("config.load.users", True, "load.users has the wrong type"),
        ("config.load.users", 0, "users is not from 1 to 1,000,000"),
        ("config.load.spawn_rate", float("nan"), "spawn_rate is negative or not finite"),
        ("config.load.spawn_rate", -1.0, "spawn_rate is negative or not finite"),
        ("config.load.tags", "a", "load.tags is not a list"),
        ("config.load.tags", [1], "load.tags has the wrong type"),
        ("config.load.tags", ["a"] * 10_001, "load.tags is not a list"),
        ("config.load.host", "a" * 1_000_001, "load.host has the wrong type"),
        ("config.load.stages", [[1.0]], "load.stages does not have 2 values"),
        ("config.load.stages", [[1.0, "x"]], "load.stages has the wrong type"),
        ("config.cluster.balance", "odd", "balance is not one of capacity, equal"),
        ("config.file.guards", [{"when": [1]}], "file.guards has the wrong type"),
        ("config.file.texts", ["x"], "file.texts is not a table"),
        ("config.origins", {"nothing": {"source": "FILE", "label": "x"}}, "there is no setting 'nothing'"),
        ("config.origins.users.source", "MAGIC", "origins.source is not a source of values"),
        ("release", "0.9.0", "it is of obswarm 0.9.0, this is obswarm 1.0.0; the versions have to be the same"),
    ],
)
def test_what_is_no_configuration_of_this_release_is_refused(path: str, value: Any, text: str) -> None:
    with pytest.raises(BadConfig) as refused:
        from_wire(changed(path, value), RELEASE)
    assert text in str(refused.value)


@pytest.mark.parametrize("value", [None, 5, [], {}, {"release": RELEASE}, {"release": RELEASE, "config": {}, "x": 1}])
def test_what_is_none_at_all(value: Any) -> None:
    with pytest.raises(BadConfig):
        from_wire(value, RELEASE)


def to_a_worker(config: RunConfig, **changed: Any) -> Any:
    return msgpack.unpackb(msgpack.packb(to_workers(config) | changed))


def test_workers_get_the_settings_that_they_need_and_no_others() -> None:
    arrived = from_master(to_a_worker(FULL))
    for name, each in SETTINGS.items():
        assert arrived.value(name) == (VALUES[name] if each.scope is Scope.WORKERS else each.default)
    assert from_master({}) == RunConfig(), "an older master does not send every setting"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"users": 5}, "there is no setting 'users' of workers"),
        ({"timings": "yes"}, "timings has the wrong type"),
        ({"max_endpoints": 1}, "max_endpoints is not from 2 to 100,000"),
        ({"stop_timeout": -1.0}, "stop_timeout is negative or not finite"),
    ],
)
def test_what_is_no_part_of_a_configuration_for_workers_is_refused(changed: dict[str, Any], text: str) -> None:
    with pytest.raises(BadConfig, match=text):
        from_master(to_a_worker(FULL, **changed))


def test_settings_of_workers_that_are_no_table_are_refused() -> None:
    with pytest.raises(BadConfig, match="not a table"):
        from_master([1])
