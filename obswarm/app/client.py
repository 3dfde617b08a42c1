"""Client of a master service: submits a run, shows and stores it, and stops it on a signal, like a run of this
process."""

import logging
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import SplitResult, urlsplit, urlunsplit

import gevent

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.api.feed import feed_files
from obswarm.app import exit_codes
from obswarm.app.exit_status import exit_code_with
from obswarm.app.find_limit import searched
from obswarm.app.guards_setup import guards_of
from obswarm.app.limit_settings import LimitSettings
from obswarm.app.masters import Master
from obswarm.app.outputs import outputs_of
from obswarm.app.planning import LoadedTest, RunPlan, build_plan, split_arguments
from obswarm.app.rate_query import with_queried_rate
from obswarm.app.recording import recording_of
from obswarm.app.session import MakeDisplay, watch_run
from obswarm.app.sources import PROMETHEUS, Prometheus, prometheus_of
from obswarm.cluster import gather, is_loopback, pack
from obswarm.config import SETTINGS, Origin, RunConfig, Source
from obswarm.engine import Outputs, PartialResult, RunResult, StopReason
from obswarm.greenlets import Supervisor
from obswarm.guards import configured_guards
from obswarm.http import ApiAccess, naming_by_options
from obswarm.record import RunState, Snapshot
from obswarm.sanitize import to_text
from obswarm.stack import is_loopback_only
from obswarm.stack.project import HOST_NAME
from obswarm.streams import echo, echo_error
from obswarm.targets import PrometheusSource
from obswarm.units import counted
from obswarm.web import MasterClient, MasterError, RunRequest
from obswarm.web.client import End, Log

logger = logging.getLogger(__name__)

_STOP_MAX_S = 10.0
"""Time after a signal at which the client gives up, if the master has not ended the run."""
_ABORT_AFTER_S = 3.0
"""Time after a signal at which a run that was already stopping is aborted."""
_AGAIN_S = 0.3

_ANY_PROMETHEUS = "http://prometheus:9090"


class RemoteRun:
    """A run of a master service, as a WatchedRun."""

    def __init__(self, client: MasterClient, request: RunRequest, outputs: Outputs, end_max_s: float = 0.0) -> None:
        """Submit the request; `end_max_s` is the maximum time from a request to stop to the end of the run. Raises
        ObswarmError."""
        self._client = client
        self._outputs = outputs
        self._number, self.workers, self.run_id = client.submit(request)
        self.exit_code = 0
        self._seen = PartialResult()
        self._end_max_s = end_max_s
        self._insisting: gevent.Greenlet | None = None
        self._is_over = False

    def run(self) -> RunResult:
        """Receive the run until its end; returns its result, or the part that was received if the master crashed or
        became unreachable. Raises ObswarmError if nothing was received."""
        try:
            for each in self._client.events(self._number):
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
                    raise MasterError(each.error or "The master could not execute the run.")
        except MasterError as error:
            seen = self._seen.result("its master did not report the end", str(error))
            if seen is None:
                raise
            self.exit_code = exit_codes.INCOMPLETE
            return seen
        finally:
            self.close()
        raise AssertionError("unreachable")

    def stop(self, reason: StopReason) -> None:
        if self._insisting is None and not self._is_over:
            self._insisting = Supervisor().spawn("The request to stop the run", self._insist, reason)

    def _insist(self, reason: StopReason) -> None:
        """Repeat the request to stop until the run has ended, also to a restarted master; give up after _STOP_MAX_S."""
        began_s = clock.monotonic()
        give_up_at_s = began_s + _STOP_MAX_S
        self._client.give_up_at(give_up_at_s)
        restarts, first = -1, True
        seen = self._seen.last
        to_abort = was_ending = seen is not None and seen.state is RunState.STOPPING
        while clock.monotonic() < give_up_at_s:
            if to_abort and clock.monotonic() - began_s > _ABORT_AFTER_S:
                # It was already stopping before the signal.
                to_abort = not self._request_stop(reason, True, logging.DEBUG)
            if self._client.restarts != restarts:
                requested_at = self._client.restarts
                if self._request_stop(reason, False, logging.ERROR if first else logging.DEBUG):
                    # After a restart of the master, the run gets no further time to end.
                    more_s = self._end_max_s if restarts < 0 and not was_ending else 0.0
                    give_up_at_s = began_s + _STOP_MAX_S + more_s
                    self._client.give_up_at(give_up_at_s)
                    restarts = requested_at
                first = False
            gevent.sleep(_AGAIN_S)

    def abort(self, reason: StopReason) -> None:
        """Request the abort, and give up if the master does not respond."""
        if not self._request_stop(reason, True):
            self._client.give_up()

    def _request_stop(self, reason: StopReason, abort: bool, level: int = logging.ERROR) -> bool:
        try:
            self._client.stop(self._number, reason, abort)
        except MasterError as error:
            logger.log(level, "%s", error)
            return False
        return True

    def close(self) -> None:
        """End the request to stop: the run is over."""
        self._is_over = True
        if self._insisting is not None:
            self._insisting.kill()


def run_remotely(
    config: RunConfig,
    master: Master,
    make_display: MakeDisplay,
    search: LimitSettings | None = None,
    *,
    loaded: LoadedTest | None = None,
    accepted: Callable[[str], None] = lambda run_id: None,
) -> tuple[RunResult, int]:
    """Submit the run of a configuration to a master, or with a `search` that of a search for the limit, and show and
    store it in this process. `loaded` is the load test if it is imported already; `accepted` is called with the run's
    id. Returns the result and the exit code. Raises ObswarmError."""
    echo(f"{_capitalized(master.where)} executes this run{master.how_to_stay}.", err=True)
    own = Prometheus(master.prometheus_url, ApiAccess()) if master.prometheus_url is not None else None
    config = with_queried_rate(config, other=own)
    if search is not None:
        config = search.config_of(config)
    plan = build_plan(config, is_made_here=False, loaded=loaded)
    if search is not None:
        # The master has a search of its own; this one only checks it.
        searched(plan, search, config.load.spawn_rate)
    # The master evaluates the guards; this process only checks them, and evaluates the requirements.
    remote = config.replaced({"prometheus_url": config.targets.prometheus_url or _ANY_PROMETHEUS})
    guards = guards_of(
        remote, configured_guards(remote, plan.loadtest.guards), is_made_here=False, of_scenarios=plan.requirements
    )
    client = MasterClient(master.url, master.token, trust_env=not master.is_own, verify=master.verify)
    display = make_display(config)
    source = None if config.store.no_store else _source_from_here(config, master)
    recording = recording_of(config, plan.files, plan.loaded.custom, source, guards.evaluate)
    request = request_of(config, plan, master)
    if search is not None:
        request = replace(request, search=search.plain())
    made: list[RemoteRun] = []

    def make_run(outputs: Outputs) -> RemoteRun:
        run = RemoteRun(client, request, outputs, plan.environment.stop_timeout + config.metrics.linger)
        logger.info("%s has %s.", _capitalized(master.where), counted(run.workers, "worker"))
        accepted(run.run_id)
        made.append(run)
        return run

    result = watch_run(make_run, outputs_of(config, display, guards.evaluate, recording), display)
    if result.error is not None:
        echo_error(result.error)
    return result, exit_code_with(made[0].exit_code, result, config.outputs.exit_code_on_error)


def _source_from_here(config: RunConfig, master: Master) -> PrometheusSource | None:
    """Return the Prometheus from which this process reads the target's metrics to store them with the run, with
    credential files of this machine; None if there is none, and the metrics are not stored."""
    if master.prometheus_url is not None:
        return PrometheusSource(master.prometheus_url, trust_env=False)
    prometheus = prometheus_of(config)
    if prometheus is None:
        return None
    source = PrometheusSource(prometheus.url, access=prometheus.access)
    try:
        prometheus.access.check_files(naming_by_options(PROMETHEUS))
        source.start()
    except ObswarmError as error:
        logger.warning("The target's metrics are not stored with the run, as this process cannot read them: %s", error)
        source.close()
        return None
    return source


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def request_of(config: RunConfig, plan: RunPlan, master: Master) -> RunRequest:
    """Return the request for a run: its configuration, with loopback addresses replaced by those under which the master
    reaches this machine, and its files, unless the master has them. Raises ObswarmError."""
    _, rest = split_arguments(config.load.arguments, config.load.files)
    values: dict[str, object] = {
        "arguments": tuple(rest),
        "targets": tuple(remote_target(target, master) for target in config.targets.targets),
    }
    host = _remote_host(plan, master)
    origins = dict(config.origins)
    if host is not None:
        values["host"] = host
        origins["host"] = Origin(Source.COMMAND_LINE, SETTINGS["host"].option)
    remote = replace(config.replaced(values), origins=origins)
    files = [file.resolve() for file in plan.files]
    folder = master.loadtest.parent if master.loadtest is not None else None
    if folder is not None and all(folder in file.parents for file in files):
        names = [file.relative_to(folder).as_posix() for file in files]
        return RunRequest(remote, names, mounted=True, digest="", bundle=b"", workers=master.workers)
    # The master reads the rows of feeds.
    root, paths = gather(plan.files, (*plan.loaded.opened, *map(str, feed_files())))
    packed = pack(root, paths)
    names = [file.relative_to(root).as_posix() for file in files]
    return RunRequest(remote, names, mounted=False, digest=packed.digest, bundle=packed.content, workers=master.workers)


def _remote_host(plan: RunPlan, master: Master) -> str | None:
    """Return the host for users in containers, where a loopback address is not this machine's; None if it stays."""
    if master.host_name is None:
        return None
    hosts = {to_text(cls.host) for cls in plan.environment.user_classes if cls.host}
    own = [host for host in hosts if is_loopback(_split(host).hostname or "")]
    if not own:
        return None
    if len(hosts) > 1:
        raise ObswarmError(
            f"The user classes have several hosts ({', '.join(sorted(hosts))}), and {own[0]} cannot be reached under"
            f" this name from the containers. Write {master.host_name} for this machine in the load-test file."
        )
    remote = replace_host(own[0], master.services.get(_split(own[0]).port or 0) or master.host_name)
    logger.info("Workers use the host %s for %s.", remote, own[0])
    if master.gateway is not None and HOST_NAME in remote and is_loopback_only(_split(own[0]).geturl(), master.gateway):
        logger.warning(
            "%s listens only on this machine's loopback address, which containers cannot reach. Let it also listen on"
            " %s, or use --local.",
            own[0],
            master.gateway,
        )
    return remote


def remote_target(target: str, master: Master) -> str:
    """Return a target KIND=URL with the address under which the master reaches it, if it is on this machine."""
    kind, equals, url = target.partition("=")
    parts = _split(url)
    if master.host_name is None or not is_loopback(parts.hostname or ""):
        return target
    return f"{kind}{equals}{replace_host(url, master.services.get(parts.port or 0) or master.host_name)}"


def replace_host(url: str, address: str) -> str:
    """Return a URL or `host:port` with another host, and port if `address` has one; user and password stay."""
    parts = _split(url)
    port = f":{parts.port}" if parts.port and ":" not in address else ""
    user, at, _ = parts.netloc.rpartition("@")
    replaced = urlunsplit(parts._replace(netloc=f"{user}{at}{address}{port}"))
    return replaced if "://" in url else replaced.removeprefix("//")


def _split(host: str) -> SplitResult:
    """Split a host with or without a scheme (`db:50051`); empty if it is invalid."""
    try:
        parts = urlsplit(host if "://" in host else f"//{host}")
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts
