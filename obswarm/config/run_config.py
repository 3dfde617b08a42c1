"""RunConfig: the whole configuration of a run as one value.

It is made once, from command line, environment, obswarm.toml and defaults, in this precedence, and passed as a whole:
to the composition of a run in this process, to a master service, to workers, to the store. A new setting is a field in
this module and an option in obswarm.cli.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, get_type_hints

from obswarm import defaults
from obswarm.config.setting import Origin, Scope, Setting, Source, setting, setting_of

MOST_USERS = 1_000_000
MOST_WORKERS = 1_024
HIGHEST_SPAWN_RATE = 100_000
"""Users per second."""
STORE_FOLDER = ".obswarm"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

StageValue = tuple[float, int]
"""Duration of a stage in seconds, and the number of users at its end."""


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """Credentials, certificates and proxy of requests to another server. `headers` are written `NAME: VALUE`."""

    auth: str | None = setting(None, secret=True, excludes=("token", "token_file"))
    token: str | None = setting(None, secret=True, excludes=("token_file",))
    token_file: str | None = setting(None)
    headers: tuple[str, ...] = setting((), "--header")
    ca_file: str | None = setting(None, unset="REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE, system")
    cert_file: str | None = setting(None)
    key_file: str | None = setting(None)
    proxy: str | None = setting(None, redirects=True, unset="HTTP_PROXY, HTTPS_PROXY, NO_PROXY")


@dataclass(frozen=True, slots=True)
class LoadConfig:
    """The load test and its load over time. Times are in seconds, rates in users per second."""

    files: tuple[str, ...] = setting(
        (), "--loadtest", scope=Scope.LOCAL, unset=f"{' or '.join(defaults.LOADTEST_FILES)} in the current folder"
    )
    arguments: tuple[str, ...] = setting((), "", in_file=False)
    """Load-test file, user classes, and options that the load test defines."""
    user_classes: tuple[str, ...] = setting((), unset="all")
    config_users: tuple[str, ...] = setting((), scope=Scope.WORKERS)
    """JSON objects, each with `user_class_name` and the attributes to set on that class."""
    equal_weights: bool = setting(False, scope=Scope.WORKERS)
    host: str | None = setting(None, scope=Scope.WORKERS)
    users: int | None = setting(None, limits=(1, MOST_USERS), unset=str(defaults.USERS))
    spawn_rate: float | None = setting(None, limits=(0, HIGHEST_SPAWN_RATE), unset=f"{defaults.SPAWN_RATE:g}")
    run_time: float | None = setting(None, unit="seconds", unset="run until stopped")
    stages: tuple[StageValue, ...] | None = setting(None, excludes=("users", "spawn_rate"))
    arrival_rate: str | None = setting(None, scope=Scope.WORKERS, excludes=("users", "spawn_rate", "stages"))
    """A rate as `200/s`, or stages of one as `30s:50/s,2m:400/s`."""
    arrivals: str = setting("constant", scope=Scope.WORKERS, choices=("constant", "poisson"))
    arrivals_seed: int | None = setting(None, scope=Scope.WORKERS, limits=(0, 2**53), unset="random")
    max_users: int = setting(defaults.MAX_USERS, scope=Scope.WORKERS, limits=(1, MOST_USERS))
    iterations: str | None = setting(None, scope=Scope.WORKERS, unset="no limit")
    """A number, which all user classes share, or one by class as `Shopper=100,Browser=50`."""
    tags: tuple[str, ...] = setting((), scope=Scope.WORKERS)
    exclude_tags: tuple[str, ...] = setting((), scope=Scope.WORKERS)
    stop_timeout: float = setting(defaults.STOP_TIMEOUT_S, scope=Scope.WORKERS, unit="seconds")
    reset_stats: bool = setting(False)
    max_endpoints: int = setting(defaults.MAX_ENDPOINTS, scope=Scope.WORKERS, limits=(2, 100_000))
    timings: bool = setting(False, scope=Scope.WORKERS)
    trace_sample: float | None = setting(None, scope=Scope.WORKERS)
    no_locust_compat: bool = setting(False, scope=Scope.WORKERS)


@dataclass(frozen=True, slots=True)
class OutputsConfig:
    """Display and files of a run, and its exit code."""

    headless: bool = setting(False, scope=Scope.LOCAL)
    only_summary: bool = setting(False, scope=Scope.LOCAL)
    csv: str | None = setting(None, scope=Scope.LOCAL, unit="file")
    csv_full_history: bool = setting(False, scope=Scope.LOCAL)
    json_file: str | None = setting(None, "--json", scope=Scope.LOCAL, unit="file")
    stats_json: str | None = setting(None, "--json-file", scope=Scope.LOCAL, unit="file")
    html: str | None = setting(None, scope=Scope.LOCAL, unit="file")
    junit: str | None = setting(None, scope=Scope.LOCAL, unit="file")
    output: tuple[str, ...] = setting((), scope=Scope.LOCAL)
    """Outputs of third parties: `NAME` or `NAME=ARGUMENT`."""
    loglevel: str = setting("INFO", scope=Scope.WORKERS, choices=LOG_LEVELS)
    logfile: str | None = setting(None, scope=Scope.LOCAL, unit="file")
    skip_log_setup: bool = setting(False, scope=Scope.LOCAL, excludes=("logfile",))
    exit_code_on_error: int = setting(1, limits=(0, 255))
    strict: bool = setting(False)


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Export of the run's metrics: the endpoint /metrics, and remote write."""

    web_port: int | None = setting(
        None, scope=Scope.LOCAL, limits=(0, 65_535), unset=f"{defaults.WEB_PORT} or the next free port"
    )
    metrics_addr: str = setting("127.0.0.1", scope=Scope.LOCAL)
    allowed_hosts: tuple[str, ...] = setting((), "--allowed-host", scope=Scope.LOCAL)
    labels: tuple[str, ...] = setting((), "--label")
    otlp: bool = setting(False, scope=Scope.WORKERS)
    remote_write: str | None = setting(None)
    remote_write_access: AccessConfig = field(
        default=AccessConfig(), metadata={"prefix": "remote_write_", "needs": "remote_write"}
    )
    remote_write_instance: str | None = setting(None, needs="remote_write", unset="host and run id")
    remote_write_interval: float = setting(defaults.REMOTE_WRITE_INTERVAL_S, unit="seconds")
    linger: float = setting(defaults.LINGER_S, unit="seconds")


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The page and its API: whether it starts runs, who may use it, TLS."""

    web: bool = setting(False, scope=Scope.LOCAL, excludes=("headless",))
    autostart: bool = setting(False, scope=Scope.LOCAL)
    autoquit: float | None = setting(None, scope=Scope.LOCAL, unit="seconds", unset="go on until Ctrl-C")
    web_auth: str | None = setting(None, scope=Scope.LOCAL, secret=True)
    web_token_file: str | None = setting(None, scope=Scope.LOCAL)
    tls_cert: str | None = setting(None, scope=Scope.LOCAL, needs="tls_key")
    tls_key: str | None = setting(None, scope=Scope.LOCAL, needs="tls_cert")

    @property
    def starts_runs(self) -> bool:
        """Whether the process goes on after a run, for further ones from the page."""
        return self.web or self.autostart or self.autoquit is not None


@dataclass(frozen=True, slots=True)
class GuardsConfig:
    """Guards, requirements, alerts, and annotations in Grafana."""

    stop_when: tuple[str, ...] = setting((), adds=True)
    abort_when: tuple[str, ...] = setting((), adds=True)
    hold_when: tuple[str, ...] = setting((), adds=True)
    notify_when: tuple[str, ...] = setting((), adds=True)
    guards: tuple[str, ...] = setting((), "--guard", adds=True)
    requirements: tuple[str, ...] = setting((), "--require", adds=True)
    alerts_token: str | None = setting(None, scope=Scope.LOCAL, secret=True, unset="generated and printed")
    on_alert: str = setting("stop")
    alerts_grace: float = setting(defaults.ALERTS_GRACE_S, unit="seconds")
    earlier_alerts: str = setting("note", choices=("note", "wait"))
    earlier_alerts_max_wait: float = setting(defaults.EARLIER_ALERTS_MAX_WAIT_S, unit="seconds", needs="earlier_alerts")
    grafana_url: str | None = setting(None, needs="grafana_token")
    grafana_token: str | None = setting(None, secret=True, needs="grafana_url")


@dataclass(frozen=True, slots=True)
class TargetsConfig:
    """Sources of the target's metrics."""

    prometheus_url: str | None = setting(None)
    prometheus_access: AccessConfig = field(
        default=AccessConfig(), metadata={"prefix": "prometheus_", "needs": "prometheus_url"}
    )
    targets: tuple[str, ...] = setting((), "--target", adds=True)


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """The store in which the run is recorded."""

    store: str = setting(STORE_FOLDER, scope=Scope.LOCAL)
    no_store: bool = setting(False, scope=Scope.LOCAL, excludes=("store",))
    no_report: bool = setting(False, scope=Scope.LOCAL)
    profile: str | None = setting(None, scope=Scope.LOCAL)

    @property
    def folder(self) -> Path:
        return Path(self.store or STORE_FOLDER)


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """The processes of a run, and their addresses. `workers` is None for an automatic number."""

    workers: int | None = setting(None, scope=Scope.LOCAL, limits=(0, MOST_WORKERS))
    balance: str = setting("capacity", choices=("capacity", "equal"))
    master: str | None = setting(None, scope=Scope.LOCAL)
    api_token: str | None = setting(None, scope=Scope.LOCAL, secret=True)
    local: bool = setting(False, scope=Scope.LOCAL, excludes=("master",))
    project: str = setting("obswarm", scope=Scope.LOCAL)
    bind: tuple[str, int] = setting(("127.0.0.1", 5557), scope=Scope.SERVICE)
    secret_file: str | None = setting(None, scope=Scope.SERVICE)
    insecure: bool = setting(False, scope=Scope.SERVICE)
    expect_workers: int = setting(1, scope=Scope.SERVICE, limits=(1, 100_000))
    expect_workers_max_wait: float | None = setting(None, scope=Scope.SERVICE, unit="seconds", unset="no limit")
    orphan_timeout: float = setting(defaults.ORPHAN_TIMEOUT_S, scope=Scope.SERVICE, unit="seconds")
    bundled: tuple[str, ...] = setting((), "--bundle", scope=Scope.SERVICE)
    bundle_limit: int = setting(defaults.BUNDLE_LIMIT_BYTES, scope=Scope.SERVICE, unit="bytes")
    state_file: str | None = setting(None, "--state", scope=Scope.SERVICE, unset=".obswarm/master-PORT.run")
    serve: bool = setting(False, scope=Scope.SERVICE)
    hand_over: bool = setting(False, scope=Scope.SERVICE, needs="serve")
    fresh: bool = setting(False, scope=Scope.SERVICE)

    @property
    def state_path(self) -> Path:
        """The file in which a master records its run, to continue it after a restart."""
        return Path(self.state_file or f".obswarm/master-{self.bind[1]}.run")


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A table [[targets]] of obswarm.toml."""

    kind: str
    url: str
    name: str | None = None
    access: AccessConfig = AccessConfig()


Scalars = Mapping[str, str | int | float]
"""A table of the file without tables in it, as it stands there."""


@dataclass(frozen=True, slots=True)
class KindTable:
    """A table [[kinds]] of obswarm.toml with its tables [[kinds.metrics]]; obswarm.targets checks them."""

    values: Scalars
    metrics: tuple[Scalars, ...]


@dataclass(frozen=True, slots=True)
class FileConfig:
    """The values of obswarm.toml that are not options.

    `where` precedes a key in messages: `obswarm.toml: `; it is empty without a file. `named` is true for a file of
    --config; `texts` are the values of settings that add to those of the command line, by key; times are in seconds.
    """

    path: str = ""
    where: str = ""
    named: bool = False
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keep_for: float | None = None
    keep_runs: int | None = None
    targets: tuple[TargetTable, ...] = ()
    guards: tuple[Scalars, ...] = ()
    custom: Mapping[str, tuple[str, ...] | str] = field(default_factory=dict)
    """Values of options that the load test defines, by key."""
    kinds: tuple[KindTable, ...] = ()


@dataclass(frozen=True, slots=True)
class RunConfig:
    """The configuration of a run. `origins` are the origins of all settings that were given, by name."""

    load: LoadConfig = LoadConfig()
    outputs: OutputsConfig = OutputsConfig()
    metrics: MetricsConfig = MetricsConfig()
    web: WebConfig = WebConfig()
    guards: GuardsConfig = GuardsConfig()
    targets: TargetsConfig = TargetsConfig()
    store: StoreConfig = StoreConfig()
    cluster: ClusterConfig = ClusterConfig()
    file: FileConfig = FileConfig()
    origins: Mapping[str, Origin] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any], origins: Mapping[str, Origin], file: FileConfig | None = None) -> Self:
        """Make a RunConfig from values by the names of settings; others have their defaults."""
        arguments: dict[tuple[str, ...], dict[str, Any]] = {(): {}, **{path: {} for path, _ in _PARTS}}
        for name, value in values.items():
            path = SETTINGS[name].path
            arguments[path[:-1]][path[-1]] = value
        for path, kind in _PARTS:
            arguments[path[:-1]][path[-1]] = kind(**arguments[path])
        return cls(**arguments[()], file=file or FileConfig(), origins=dict(origins))

    def value(self, name: str) -> Any:
        """Return the value of the setting of that name."""
        found: Any = self
        for attribute in SETTINGS[name].path:
            found = getattr(found, attribute)
        return found

    def replaced(self, values: Mapping[str, Any]) -> Self:
        """Return a copy with other values, by the names of settings."""
        return self.of({name: self.value(name) for name in SETTINGS} | dict(values), self.origins, self.file)

    def is_given(self, name: str) -> bool:
        """Whether the setting was given, instead of having its default."""
        return name in self.origins

    def origin(self, name: str) -> Origin:
        """Return the origin of a setting's value."""
        return self.origins.get(name) or Origin(Source.DEFAULT, SETTINGS[name].option)

    def label(self, name: str) -> str:
        """Return the name of a setting in its source: `--users`, `OBSWARM_USERS`, `users in obswarm.toml`."""
        return self.origin(name).label


def _settings_of(kind: type[Any], path: tuple[str, ...] = (), prefix: str = "", needs: str = "") -> list[Setting]:
    found = []
    hints = get_type_hints(kind)
    for each in fields(kind):
        own = setting_of(each.metadata, each.name, (*path, each.name), hints[each.name], each.default, prefix, needs)
        if own is not None:
            found.append(own)
        elif is_dataclass(hints[each.name]):
            inner = (each.metadata.get("prefix", ""), each.metadata.get("needs", ""))
            found += _settings_of(hints[each.name], (*path, each.name), *inner)
    return found


def _parts_of(kind: type[Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type[Any]]]:
    hints = get_type_hints(kind)
    for each in fields(kind):
        inner = hints[each.name]
        if is_dataclass(inner) and inner is not FileConfig:
            assert isinstance(inner, type)
            yield from _parts_of(inner, (*path, each.name))
            yield (*path, each.name), inner


SETTINGS: Mapping[str, Setting] = MappingProxyType({each.name: each for each in _settings_of(RunConfig)})
"""All settings by name, in the order of their declaration."""

_PARTS: tuple[tuple[tuple[str, ...], type[Any]], ...] = tuple(_parts_of(RunConfig))
"""The dataclasses of a RunConfig, the innermost first, by their attribute path."""
