"""What the commands that have workers share: jobs, invitations, options."""

import sys
from pathlib import Path
from typing import Any

import click

from obswarm import clock, defaults
from obswarm.cli.loading import Planned
from obswarm.cli.options import shared_option as option
from obswarm.cluster import Job, Packed, RunSpec, hash_of_files, plain_options
from obswarm.engine import new_run_id

WORKER_COMMAND = (sys.executable, "-P", "-m", "obswarm", "worker-process")
"""-P: a `json.py` in the current folder is not the one that the standard library imports."""

balance_option = option(
    "--balance",
    type=click.Choice(["capacity", "equal"]),
    default="capacity",
    show_default=True,
    help="Users to workers in proportion to the speed that they measured, or the same number to each.",
)


def job_for(planned: Planned, options: dict[str, Any], files: tuple[str, ...], root: str) -> Job:
    environment = planned.environment
    return Job(
        files=files,
        root=root,
        user_classes=tuple(cls.__name__ for cls in environment.user_classes),
        host=environment.host,
        tags=tuple(environment.tags or ()),
        exclude_tags=tuple(environment.exclude_tags or ()),
        stop_timeout_s=environment.stop_timeout,
        max_endpoints=options["max_endpoints"],
        detailed_timings=options["timings"],
        trace_share=options["trace_sample"] or 0.0,
        options=plain_options(environment.parsed_options),
        loglevel=options["loglevel"].upper(),
    )


def local_job(planned: Planned, options: dict[str, Any]) -> Job:
    """For processes that see the same files."""
    return job_for(planned, options, tuple(str(file.resolve()) for file in planned.files), str(Path.cwd()))


def run_spec_of(
    job: Job,
    *,
    bundle: Packed | None = None,
    files: tuple[Path, ...] = (),
    run_id: str | None = None,
    orphan_timeout_s: float = defaults.ORPHAN_TIMEOUT_S,
) -> RunSpec:
    return RunSpec(
        run_id or new_run_id(clock.wall()),
        job.pack(),
        bundle,
        hash_of_files(files) if files else "",
        orphan_timeout_s,
    )
