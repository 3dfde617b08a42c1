"""`obswarm master`: a load test on a fleet of workers."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from obswarm import clock, defaults
from obswarm.api import ObswarmError
from obswarm.cli.exporting import exports
from obswarm.cli.fleet import balance_option, job_for, run_spec_of
from obswarm.cli.guarding import Guarding, check_junit, guard_options, guarding_of
from obswarm.cli.keeping import keep_options, keeping_of
from obswarm.cli.loading import LoadTestCommand, Planned, output_of, plan
from obswarm.cli.options import bind_address, duration, option, size
from obswarm.cli.run_options import run_options
from obswarm.cli.service import Service, state_file_of
from obswarm.cli.service_process import ends_as_meant, supervise
from obswarm.cli.session import Terminal, conclude
from obswarm.cli.streams import say
from obswarm.cli.unfinished import put_aside
from obswarm.cluster import (
    DEFAULT_PORT,
    CurveKeys,
    Expectation,
    FleetRun,
    Job,
    Journal,
    Packed,
    Recovered,
    RunSpec,
    check_free,
    derive_keys,
    gather,
    hash_of_files,
    is_loopback,
    pack,
    read_journal,
    read_secret,
    tcp_endpoint,
)
from obswarm.engine import Outputs, RunResult, check_descriptors, host_of, new_run_id
from obswarm.units import counted

logger = logging.getLogger(__name__)


@click.command(
    cls=LoadTestCommand,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
    options_metavar="[OPTIONS]",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[FILE] [USER]...")
@run_options
@option(
    "--bind",
    type=bind_address,
    metavar="ADDRESS[:PORT]",
    default=f"127.0.0.1:{DEFAULT_PORT}",
    show_default=True,
    help="Where workers connect to; beyond this machine a secret is needed.",
)
@option("--secret-file", metavar="FILE", help="The cluster's secret; or set OBSWARM_SECRET.", envvar=None)
@option("--insecure", is_flag=True, help="Listen beyond this machine without a secret: whoever connects is let in.")
@option(
    "--expect-workers",
    type=click.IntRange(1, 100_000),
    default=1,
    show_default=True,
    help="Start when so many workers are ready.",
)
@option(
    "--expect-workers-max-wait",
    type=duration,
    metavar="DURATION",
    help="Give up when they are not ready by then.  [default: wait]",
)
@balance_option
@option(
    "--orphan-timeout",
    type=duration,
    default=f"{defaults.ORPHAN_TIMEOUT_S:g}s",
    show_default=True,
    metavar="DURATION",
    help="Workers that hear nothing from a master for so long end their users.",
)
@option(
    "--bundle", "bundled", multiple=True, metavar="PATH", help="A file or folder that workers need as well; repeat."
)
@option(
    "--bundle-limit",
    type=size,
    default="20MiB",
    show_default=True,
    metavar="SIZE",
    help="The most that is sent to each worker.",
)
@option(
    "--state",
    "state_file",
    metavar="FILE",
    help="Where the run is remembered, for a master that is started again.  [default: .obswarm/master-PORT.run]",
)
@guard_options
@keep_options
@option(
    "--serve",
    is_flag=True,
    help="Stay, and make the runs that `obswarm run --master URL` asks for, one after the other.",
)
@option(
    "--api-token",
    metavar="TOKEN",
    help="For those who ask for runs.  [default: made anew and shown]",
)
@option("--fresh", is_flag=True, help="Begin a new run even if one was left unfinished.")
@click.pass_context
def master(ctx: click.Context, /, arguments: tuple[str, ...], **options: Any) -> None:
    """Run a load test on workers of other machines.

    FILE is a load-test file in Python; workers are sent it, and what it imports and reads of the files beside it.
    """
    keys = keys_of(options)
    if options["serve"]:
        code = supervise()
        if code is not None:
            ctx.exit(code)
        with ends_as_meant():
            Service(ctx, options, keys, conduct).run()
        return
    planned = plan(ctx, arguments, options)
    if planned is None:
        return
    check_junit(options, ctx)
    guarding = guarding_of(options, planned.loadtest.guards)
    terminal = Terminal(output_of(options))
    terminal.export = exports(options, ctx, guarding)
    terminal.guarding = guarding
    terminal.keeping = keeping_of(ctx, options, planned.files, planned.custom, guarding.source, guarding.evaluate)
    _, code = conduct(planned, options, keys, terminal, guarding)
    ctx.exit(code)


def conduct(
    planned: Planned,
    options: dict[str, Any],
    keys: CurveKeys | None,
    terminal: Terminal,
    guarding: Guarding,
    shared: Path | None = None,
    on_run: Callable[[FleetRun], None] = lambda run: None,
    recover: Callable[[Path, str, dict[str, Any]], Recovered | None] | None = None,
) -> tuple[RunResult, int]:
    """Make the run, to its end; gives its result and the exit code. `shared` is a folder that workers have at the same
    place, so that nothing has to be sent; `recover` finds the run to go on with, from the state file, the load test's
    digest and the options. Raises ObswarmError."""
    address, port = options["bind"]
    check_descriptors(options["expect_workers"], counted(options["expect_workers"], "worker"))
    bundle = None
    if shared is None:
        root, paths = gather(planned.files, planned.opened, options["bundled"])
        bundle = pack(root, paths, options["bundle_limit"])
        names = tuple(file.resolve().relative_to(root).as_posix() for file in planned.files)
        job = job_for(planned, options, names, "")
        content = bundle.digest
    else:
        job = job_for(planned, options, tuple(str(file.resolve()) for file in planned.files), str(shared))
        content = hash_of_files(planned.files)
    digest = hashlib.sha256(content.encode() + job.pack()).hexdigest()
    state = state_file_of(options)
    recovered = (recover or recover_run)(state, digest, options)
    if recovered is not None:
        # It goes on; its users are there already.
        guarding.earlier_alerts_max_wait_s = None
    spec = _spec(planned, job, bundle, recovered, options)
    journal = Journal(
        state,
        spec.run_id,
        digest,
        recovered.started_wall_s if recovered is not None else clock.wall(),
        test=planned.loadtest.name,
        host=host_of(planned.environment),
        # Who has named a file wants it; the usual place may fail.
        may_fail=options["serve"] or options["state_file"] is None,
    )

    def make(outputs: Outputs) -> FleetRun:
        run = FleetRun(
            planned.environment,
            planned.schedule,
            spec,
            test=planned.loadtest.name,
            planned_s=planned.limit_s,
            outputs=outputs,
            max_endpoints=options["max_endpoints"],
            endpoint=tcp_endpoint(address, port),
            keys=keys,
            by_capacity=options["balance"] == "capacity",
            expect=Expectation(options["expect_workers"], options["expect_workers_max_wait"], options["serve"]),
            journal=journal,
            recovered=recovered,
        )
        on_run(run)
        return run

    result = terminal.run(make, planned.environment)
    return result, conclude(result, planned.environment, options, guarding.evaluate(result))


def keys_of(options: dict[str, Any]) -> CurveKeys | None:
    """Raises ObswarmError when there should be a secret and is none."""
    address, _ = options["bind"]
    secret, warning = read_secret(options["secret_file"])
    if warning:
        say(f"Warning: {warning}", err=True)
    if secret is not None:
        return derive_keys(secret)
    if not is_loopback(address) and not options["insecure"]:
        raise ObswarmError(
            f"--bind {address} can be reached by others, and there is no secret: whoever connects could run code on"
            " your workers' behalf and see your load test. Give master and workers the same --secret-file"
            " (make one with: head -c 32 /dev/urandom | base64), or say --insecure."
        )
    return None


def _spec(
    planned: Planned, job: Job, bundle: Packed | None, recovered: Recovered | None, options: dict[str, Any]
) -> RunSpec:
    return run_spec_of(
        job,
        bundle=bundle,
        files=planned.files,
        run_id=recovered.run_id if recovered is not None else new_run_id(clock.wall()),
        orphan_timeout_s=options["orphan_timeout"],
    )


def recover_run(state: Path, digest: str, options: dict[str, Any]) -> Recovered | None:
    """The run to go on with, if there is one. What cannot be gone on with any more is put beside, not thrown away."""
    if state.exists():
        # The state of a master that runs is not touched.
        check_free(*options["bind"])
    try:
        found = read_journal(state, options["max_endpoints"])
    except ObswarmError:
        if not options["fresh"]:
            raise
        found = None
    if found is None:
        if options["fresh"] and (text := put_aside(state, options["max_endpoints"])) is not None:
            say(f"Warning: {text}", err=True)
        return None
    age_s = clock.wall() - found.progress.at_wall_s
    may_go_on = age_s <= options["orphan_timeout"] + defaults.GIVE_UP_AFTER_S
    if may_go_on and not options["fresh"]:
        if found.digest == digest:
            return found
        raise ObswarmError(
            f"The run {found.run_id} was left {age_s:.0f} s ago by a master with another load test or other options"
            f" (see {state}), and its workers may still be there. Start it as it was to go on with it, or say --fresh."
        )
    say(f"Warning: {put_aside(state, options['max_endpoints'])}", err=True)
    return None
