"""A run that another master makes: ordered, watched, stopped and reported from here as if it were this process's."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

import click
import gevent

from obswarm import __version__, clock
from obswarm.api import ObswarmError
from obswarm.cli import exit_codes
from obswarm.cli.file_option import given_options
from obswarm.cli.guarding import check_junit, guarding_of
from obswarm.cli.keeping import keeping_of
from obswarm.cli.loading import Planned, files_of, output_of, plan
from obswarm.cli.session import Terminal, exit_code_with
from obswarm.cli.settings_file import settings_file
from obswarm.cli.sources import PROMETHEUS, prometheus_of
from obswarm.cli.streams import say, say_error
from obswarm.cluster import gather, is_loopback, pack
from obswarm.engine import Outputs, PartialResult, RunResult, StopReason
from obswarm.greenlets import Supervisor
from obswarm.http import naming_by_options
from obswarm.sanitize import to_text
from obswarm.stack import Project, is_loopback_only
from obswarm.stack.project import HOST_NAME
from obswarm.stats import RunState, Snapshot
from obswarm.targets import PrometheusSource
from obswarm.units import counted
from obswarm.web import MasterClient, MasterError, RunRequest
from obswarm.web.client import End, Log

logger = logging.getLogger(__name__)

_ONLY_HERE = (
    "files",
    "config",
    "headless",
    "web_port",
    "metrics_addr",
    "allowed_hosts",
    "csv",
    "csv_full_history",
    "json_file",
    "only_summary",
    "list_users",
    "show_task_ratio",
    "logfile",
    "junit",
    "workers",
    "alerts_token",
    "master",
    "api_token",
    "local",
    "project",
    "store",
    "no_store",
    "no_report",
)
"""Options of `obswarm run` that mean nothing to another master: what is written is written here."""

_STOP_MAX_S = 10.0
"""So long after a signal the run is given up here when its master does not do what it is asked."""
_ABORT_AFTER_S = 3.0
"""A run that was ending before the signal is cut short then."""
_AGAIN_S = 0.3

_ANY_PROMETHEUS = "http://prometheus:9090"


@dataclass(frozen=True, slots=True)
class Master:
    """Where runs are asked for. The folder of `loadtest` is known there as well, so that nothing has to be sent;
    `host_name` is what this machine is called there, and `services` what is reached there under a port of this machine,
    if its loopback addresses are other ones there."""

    url: str
    token: str
    where: str
    loadtest: Path | None = None
    host_name: str | None = None
    services: Mapping[int, str] = field(default_factory=dict)
    prometheus_url: str | None = None
    """Where its Prometheus is reached from here."""
    gateway: str | None = None
    """The address of this machine at which its containers reach it."""
    is_own: bool = False
    """Whether obswarm has started it on this machine, where no proxy is needed."""
    how_to_stay: str = ""
    """How to have it made here, for who has not asked for another master."""
    workers: int = 0
    """How many it is to have; a run waits a moment for those that are not connected yet."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What load tests find in their environment there, and may ask for while they are imported here."""


def master_of(project: Project) -> Master:
    """The one of a stack of `obswarm up`."""
    loadtest = Path(project.loadtest) if project.loadtest else None
    services = {project.ports["contest_load_balancer_http"]: "load-balancer:18080"} if project.demo else {}
    environment = {name: value for name, value in project.variables().items() if name == "OBSWARM_SIGNING_KEY"}
    return Master(
        url=project.web_url,
        token=project.api_token,
        where=f"the stack {project.name}",
        is_own=True,
        how_to_stay=", because it is running; --local has it made here",
        loadtest=loadtest,
        host_name=HOST_NAME,
        services=services,
        prometheus_url=f"http://127.0.0.1:{project.ports['prometheus']}",
        gateway=project.gateway,
        workers=project.workers,
        environment={**project.environment, **(environment if project.demo else {})},
    )


class RemoteRun:
    """As a RunCourse for whoever runs it: `run_id`, `run`, `stop`, `abort`, `close`."""

    def __init__(self, client: MasterClient, order: RunRequest, outputs: Outputs, end_max_s: float = 0.0) -> None:
        """`end_max_s` is how long the end of a run may take whose master does what it is asked."""
        self._client = client
        self._outputs = outputs
        self.run_id = ""
        self._number, self.workers = client.order(order)
        self.exit_code = 0
        self._seen = PartialResult()
        self._end_max_s = end_max_s
        self._insisting: gevent.Greenlet | None = None
        self._is_over = False

    def run(self) -> RunResult:
        """Gives what was seen of the run when its master has gone, or crashed. Raises ObswarmError when there was
        nothing."""
        try:
            for each in self._client.news(self._number):
                if isinstance(each, Snapshot):
                    self.run_id = each.run_id
                    self._seen.snapshot(each)
                    self._outputs.snapshot(each)
                elif isinstance(each, Log):
                    logging.getLogger(each.name).log(each.level, "%s", each.text)
                elif isinstance(each, End):
                    self.exit_code = each.exit_code
                    if each.result is not None:
                        return each.result
                    raise MasterError(each.error or "The master could not make the run.")
        except MasterError as error:
            seen = self._seen.result("its master did not report the end", str(error))
            if seen is None:
                raise
            self.exit_code = exit_codes.INCOMPLETE
            return seen
        finally:
            self._is_over = True
        raise AssertionError("unreachable")

    def stop(self, reason: StopReason) -> None:
        if self._insisting is None:
            self._insisting = Supervisor().spawn("The request to stop the run", self._insist, reason)

    def _insist(self, reason: StopReason) -> None:
        """Ask until the master does it, also one that is started again meanwhile; give up in the end."""
        began_s = clock.monotonic()
        self._client.give_up_at_s = began_s + _STOP_MAX_S
        restarts, first = -1, True
        seen = self._seen.last
        to_abort = was_ending = seen is not None and seen.state is RunState.STOPPING
        while not self._is_over and clock.monotonic() < self._client.give_up_at_s:
            if to_abort and clock.monotonic() - began_s > _ABORT_AFTER_S:
                # It has had its time before the signal.
                to_abort = not self._tell(reason, True, logging.DEBUG)
            if self._client.restarts != restarts:
                asked_at = self._client.restarts
                if self._tell(reason, False, logging.ERROR if first else logging.DEBUG):
                    # A run whose master was started again has not ended as it should.
                    more_s = self._end_max_s if restarts < 0 and not was_ending else 0.0
                    self._client.give_up_at_s = began_s + _STOP_MAX_S + more_s
                    restarts = asked_at
                first = False
            gevent.sleep(_AGAIN_S)

    def abort(self, reason: StopReason) -> None:
        """Where the master does not answer, it is not waited for any more."""
        if not self._tell(reason, True):
            self._client.give_up()

    def _tell(self, reason: StopReason, abort: bool, level: int = logging.ERROR) -> bool:
        try:
            self._client.stop(self._number, reason, abort)
        except MasterError as error:
            logger.log(level, "%s", error)
            return False
        return True

    def close(self) -> None:
        """Nothing is kept here."""


def run_remotely(ctx: click.Context, arguments: tuple[str, ...], options: dict[str, Any], master: Master) -> int | None:
    """Gives the exit code; None when the command line only wanted to see something."""
    for name, value in master.environment.items():
        os.environ.setdefault(name, value)
    if not options["list_users"] and not options["show_task_ratio"]:
        say(f"{_capitalized(master.where)} makes this run{master.how_to_stay}.", err=True)
    planned = plan(ctx, arguments, options, is_made_here=False)
    if planned is None:
        return None
    check_junit(options, ctx)
    # The guards are there; here they are only checked, and requirements judged.
    there = {**options, "prometheus_url": options["prometheus_url"] or _ANY_PROMETHEUS}
    guarding = guarding_of(there, planned.loadtest.guards, is_made_here=False)
    client = MasterClient(master.url, master.token, trust_env=not master.is_own)
    terminal = Terminal(output_of(options))
    terminal.guarding = guarding
    source = None if options["no_store"] else _source_from_here(options, master)
    terminal.keeping = keeping_of(ctx, options, planned.files, planned.custom, source, guarding.evaluate)
    order = _order(ctx, arguments, options, planned, master)
    made: list[RemoteRun] = []

    def make(outputs: Outputs) -> RemoteRun:
        run = RemoteRun(client, order, outputs, planned.environment.stop_timeout + options["linger"])
        logger.info("%s has %s.", _capitalized(master.where), counted(run.workers, "worker"))
        made.append(run)
        return run

    result = terminal.run_elsewhere(make)
    if result.error is not None:
        say_error(result.error)
    return exit_code_with(made[0].exit_code, result, options["exit_code_on_error"])


def _source_from_here(options: dict[str, Any], master: Master) -> PrometheusSource | None:
    """The Prometheus whose figures are kept with the run, which is asked from here as well: with files of this
    machine. Without it they are not kept."""
    if master.prometheus_url is not None:
        return PrometheusSource(master.prometheus_url, trust_env=False)
    prometheus = prometheus_of(options)
    if prometheus is None:
        return None
    source = PrometheusSource(prometheus.url, access=prometheus.access)
    try:
        prometheus.access.check_files(naming_by_options(PROMETHEUS))
        source.start()
    except ObswarmError as error:
        logger.warning("The target's metrics are not kept with the run, since they cannot be read from here: %s", error)
        source.close()
        return None
    return source


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _order(
    ctx: click.Context, arguments: tuple[str, ...], options: dict[str, Any], planned: Planned, master: Master
) -> RunRequest:
    given = given_options(ctx, _ONLY_HERE)
    host = _host_there(planned, master)
    if host is not None:
        given["host"] = host
    if "targets" in given:
        given["targets"] = [target_there(target, master) for target in options["targets"]]
    _, rest = files_of(arguments, options["files"])
    settings = settings_file(options["config"], Path.cwd())
    files = [file.resolve() for file in planned.files]
    common: dict[str, Any] = {
        "release": __version__,
        "given": given,
        "rest": rest,
        "settings": _settings_text(settings),
        "workers": master.workers,
    }
    folder = master.loadtest.parent if master.loadtest is not None else None
    if folder is not None and all(folder in file.parents for file in files):
        names = [file.relative_to(folder).as_posix() for file in files]
        return RunRequest(**common, files=names, mounted=True, digest="", bundle=b"")
    root, paths = gather(planned.files, planned.opened)
    packed = pack(root, paths)
    names = [file.relative_to(root).as_posix() for file in files]
    return RunRequest(**common, files=names, mounted=False, digest=packed.digest, bundle=packed.content)


def _settings_text(path: Path | None) -> bytes | None:
    if path is None:
        return None
    if path.name == "pyproject.toml":
        raise ObswarmError(
            f"The settings in {path} cannot be sent to another master; put them into an obswarm.toml, or run here with"
            " --local."
        )
    return path.read_bytes()


def _host_there(planned: Planned, master: Master) -> str | None:
    """This machine's loopback is another one in a container: what the host is called there. None when it may stay."""
    if master.host_name is None:
        return None
    hosts = {to_text(cls.host) for cls in planned.environment.user_classes if cls.host}
    own = [host for host in hosts if is_loopback(_split(host).hostname or "")]
    if not own:
        return None
    if len(hosts) > 1:
        raise ObswarmError(
            f"The user classes have several hosts ({', '.join(sorted(hosts))}), and {own[0]} is not reached under that"
            f" name from the containers. Write {master.host_name} for this machine in the load-test file."
        )
    there = replace_host(own[0], master.services.get(_split(own[0]).port or 0) or master.host_name)
    logger.info("%s is %s for the workers.", own[0], there)
    if master.gateway is not None and HOST_NAME in there and is_loopback_only(_split(own[0]).geturl(), master.gateway):
        logger.warning(
            "%s listens on this machine's loopback alone, where containers do not reach it. Let it listen at %s, too,"
            " or run here with --local.",
            own[0],
            master.gateway,
        )
    return there


def target_there(target: str, master: Master) -> str:
    """A target as KIND=URL, under the name by which the master reaches what listens on this machine's loopback."""
    kind, equals, url = target.partition("=")
    parts = _split(url)
    if master.host_name is None or not is_loopback(parts.hostname or ""):
        return target
    return f"{kind}{equals}{replace_host(url, master.services.get(parts.port or 0) or master.host_name)}"


def replace_host(url: str, address: str) -> str:
    """The same URL, or `host:port`, with its user and password, at another host, and port if the address has one."""
    parts = _split(url)
    port = f":{parts.port}" if parts.port and ":" not in address else ""
    user, at, _ = parts.netloc.rpartition("@")
    there = urlunsplit(parts._replace(netloc=f"{user}{at}{address}{port}"))
    return there if "://" in url else there.removeprefix("//")


def _split(host: str) -> SplitResult:
    """A host of any scheme, or of none (`db:50051`), taken apart; empty when it cannot be."""
    try:
        parts = urlsplit(host if "://" in host else f"//{host}")
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts
