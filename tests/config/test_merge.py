"""The configuration of a run that a service makes for a client: whose settings count."""

from typing import Any

import pytest

from obswarm.config import (
    SETTINGS,
    FileConfig,
    Origin,
    RunConfig,
    Scope,
    Source,
    at_service,
    for_client,
    useless_settings,
)


def config(source: Source = Source.COMMAND_LINE, file: FileConfig | None = None, **values: Any) -> RunConfig:
    """One whose values were all given by that source."""
    return RunConfig.of(values, {name: Origin(source, SETTINGS[name].option) for name in values}, file)


def test_the_clients_settings_count_before_those_of_the_service() -> None:
    merged = for_client(config(users=10, run_time=60.0), config(users=3))
    assert (merged.load.users, merged.load.run_time) == (3, 60.0)
    assert merged.load.spawn_rate is None


@pytest.mark.parametrize(
    ("source", "users"), [(Source.ENVIRONMENT, 10), (Source.COMMAND_LINE, 10), (Source.FILE, None)]
)
def test_what_the_file_of_a_service_says_of_load_is_not_for_its_clients(source: Source, users: int | None) -> None:
    merged = for_client(config(source, users=10), RunConfig())
    assert merged.load.users == users
    assert merged.is_given("users") == (users is not None)


def test_where_a_service_listens_is_its_own_affair() -> None:
    service = config(Source.FILE, bind=("0.0.0.0", 6000), expect_workers=4)
    merged = for_client(service, config(bind=("127.0.0.1", 1), expect_workers=9))
    assert (merged.cluster.bind, merged.cluster.expect_workers) == (("0.0.0.0", 6000), 4)
    assert merged.origin("bind").source is Source.FILE


def test_what_a_client_shows_and_writes_stays_with_the_client() -> None:
    client = config(json_file="result.json", csv="shop", headless=True)
    merged = for_client(config(csv="service"), client)
    assert (merged.outputs.csv, merged.outputs.json_file, merged.outputs.headless) == ("service", None, False)
    from_file = for_client(config(Source.FILE, csv="service"), client)
    assert from_file.outputs.csv is None
    assert not from_file.is_given("csv")


def test_credentials_of_a_service_are_not_sent_to_an_address_of_a_client() -> None:
    service = config(prometheus_url="http://own:9090", prometheus_token="secret", prometheus_headers=("A: b",))
    assert for_client(service, config(users=1)).targets.prometheus_access.token == "secret"
    access = for_client(service, config(prometheus_url="http://other:9090")).targets.prometheus_access
    assert (access.token, access.headers) == (None, ())


def test_a_proxy_of_a_client_gets_no_credentials_of_the_service_either() -> None:
    service = config(remote_write="http://own/write", remote_write_auth="me:secret")
    merged = for_client(service, config(remote_write_proxy="http://proxy:3128"))
    assert merged.metrics.remote_write == "http://own/write"
    assert merged.metrics.remote_write_access.auth is None


def test_a_token_of_a_client_takes_the_place_of_the_services_own_way_to_authenticate() -> None:
    service = config(prometheus_url="http://own:9090", prometheus_auth="me:secret", prometheus_ca_file="ca.pem")
    access = for_client(service, config(prometheus_token="mine")).targets.prometheus_access
    assert (access.token, access.auth, access.ca_file) == ("mine", None, "ca.pem")


@pytest.mark.parametrize(
    ("of_service", "of_client"),
    [
        ({"stages": ((10.0, 5),)}, {"users": 3}),
        ({"users": 3, "spawn_rate": 2.0}, {"stages": ((10.0, 5),)}),
    ],
)
def test_what_excludes_a_setting_of_the_client_gives_way(of_service: Any, of_client: Any) -> None:
    merged = for_client(config(**of_service), config(**of_client))
    assert all(not merged.is_given(name) for name in of_service)
    assert all(merged.value(name) == value for name, value in of_client.items())


def test_an_empty_setting_of_the_client_excludes_nothing() -> None:
    merged = for_client(config(users=7), config(stages=()))
    assert merged.load.users == 7


def test_credentials_without_an_address_are_useless_and_named_with_what_they_need() -> None:
    service = config(prometheus_token="secret", users=3, grafana_url="http://grafana")
    assert useless_settings(service) == {"prometheus_token": "prometheus_url", "grafana_url": "grafana_token"}
    assert useless_settings(config(prometheus_token="x", prometheus_url="http://own")) == {}
    assert useless_settings(config(Source.FILE, prometheus_token="x")) == {}, "for runs that name one"
    assert for_client(service, RunConfig()).targets.prometheus_access.token is None


def test_a_file_of_the_client_counts_and_that_of_a_service_only_if_it_was_named() -> None:
    of_client = FileConfig("obswarm.toml", "obswarm.toml: ", keep_runs=3)
    named = FileConfig("service.toml", "service.toml: ", named=True, keep_runs=9)
    found = FileConfig("obswarm.toml", "obswarm.toml: ", keep_runs=7)
    assert for_client(config(file=named), config(file=of_client)).file is of_client
    assert for_client(config(file=named), RunConfig()).file is named
    assert for_client(config(file=found), RunConfig()).file.keep_runs is None


def test_every_setting_of_a_merged_configuration_has_one_owner() -> None:
    """Whatever is added later: nothing of a client's own process reaches a service, and nothing that is to travel gets
    lost."""
    values = {name: f"of the client: {name}" for name in SETTINGS}
    merged = for_client(RunConfig(), config(**values))
    travelled = {name for name in SETTINGS if merged.value(name) == values[name]}
    assert travelled == {name for name, each in SETTINGS.items() if each.scope in (Scope.WORKERS, Scope.RUN)}


def test_values_that_a_service_determines_have_an_origin_of_their_own() -> None:
    client = config(users=3, store="here")
    changed = at_service(client, store="there", no_report=True)
    assert (changed.store.store, changed.store.no_report, changed.load.users) == ("there", True, 3)
    assert changed.label("no_report") == "--no-report"
    assert client.store.store == "here"
