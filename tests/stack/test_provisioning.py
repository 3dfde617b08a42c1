"""Grafana's provisioning files and settings against its documentation, since its server is not to be had here:
https://grafana.com/docs/grafana/latest/administration/provisioning/ and
https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/."""

import json

import yaml

from obswarm.resources import shipped
from obswarm.stack.project import compose_file

DATA_SOURCE = {
    "name",
    "type",
    "access",
    "orgId",
    "uid",
    "url",
    "user",
    "database",
    "basicAuth",
    "basicAuthUser",
    "withCredentials",
    "isDefault",
    "jsonData",
    "secureJsonData",
    "version",
    "editable",
}
PROMETHEUS = {
    "httpMethod",
    "manageAlerts",
    "allowAsRecordingRulesTarget",
    "prometheusType",
    "prometheusVersion",
    "cacheLevel",
    "disableRecordingRules",
    "timeInterval",
    "queryTimeout",
    "customQueryParameters",
    "incrementalQuerying",
    "incrementalQueryOverlapWindow",
    "exemplarTraceIdDestinations",
}
PROVIDER = {
    "name",
    "orgId",
    "folder",
    "folderUid",
    "type",
    "disableDeletion",
    "updateIntervalSeconds",
    "allowUiUpdates",
    "options",
}
SETTINGS = {
    "security": {"admin_user", "admin_password"},
    "users": {"allow_sign_up"},
    "analytics": {"reporting_enabled", "check_for_updates", "check_for_plugin_updates"},
    "log": {"mode"},
    "paths": {"provisioning"},
    "dashboards": {"default_home_dashboard_path", "min_refresh_interval"},
}
"""Of Grafana's configuration file, by section: GF_<SECTION>_<KEY> in the environment."""


def _grafana() -> dict:
    return yaml.safe_load(compose_file().read_text())["services"]["grafana"]


def _mounts() -> dict[str, str]:
    """By the path in the container."""
    return {volume.split(":")[1]: volume.split(":")[0] for volume in _grafana()["volumes"]}


def test_the_data_source() -> None:
    document = yaml.safe_load((shipped("compose") / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert document["apiVersion"] == 1
    (source,) = document["datasources"]
    assert set(source) <= DATA_SOURCE
    assert set(source["jsonData"]) <= PROMETHEUS
    assert source["access"] == "proxy"
    assert source["jsonData"]["httpMethod"] in ("GET", "POST")
    assert source["jsonData"]["prometheusType"] in ("Prometheus", "Cortex", "Mimir", "Thanos")
    assert source["isDefault"] is True


def test_the_dashboards_are_looked_for_where_they_are_mounted() -> None:
    document = yaml.safe_load((shipped("compose") / "grafana/provisioning/dashboards/obswarm.yaml").read_text())
    assert document["apiVersion"] == 1
    (provider,) = document["providers"]
    assert set(provider) <= PROVIDER
    assert provider["type"] == "file"
    path = provider["options"]["path"]
    assert (shipped("compose") / _mounts()[path]).resolve() == (shipped("dashboards") / "json").resolve()
    home = _grafana()["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, _, name = home.rpartition("/")
    assert folder == path
    assert json.loads((shipped("dashboards") / "json" / name).read_text())["title"] == "obswarm: run"


def test_settings_and_paths_are_grafanas() -> None:
    known = {f"GF_{section}_{key}".upper() for section, keys in SETTINGS.items() for key in keys}
    assert set(_grafana()["environment"]) <= known
    mounts = _mounts()
    assert mounts["/etc/grafana/provisioning"] == "./grafana/provisioning"
    assert mounts["/var/lib/grafana"] == "grafana-data", "paths.data of the official image"
    assert _grafana()["user"] == "472", "the user of the official image"
    assert _grafana()["environment"]["GF_PATHS_PROVISIONING"] == "/etc/grafana/provisioning"
    folders = {path.name for path in (shipped("compose") / "grafana" / "provisioning").iterdir()}
    assert folders <= {"datasources", "dashboards", "plugins", "alerting"}
