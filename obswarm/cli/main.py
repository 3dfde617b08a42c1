"""The `obswarm` command: wires the subcommands, and turns errors meant for people into a sentence and exit code 2."""

from obswarm import gevent_patch  # noqa: F401,I001 - first of all; see there

import sys
from io import StringIO

import click

from obswarm import __version__, open_files
from obswarm.api import ObswarmError
from obswarm.app import exit_codes
from obswarm.cli.alerts import alerts
from obswarm.cli.compare import compare
from obswarm.cli.config import config
from obswarm.cli.configure import RootCommand
from obswarm.cli.container_stats import container_stats
from obswarm.cli.dashboards import dashboards
from obswarm.cli.demo import demo
from obswarm.cli.master import master
from obswarm.cli.report import report
from obswarm.cli.run import run
from obswarm.cli.runs import runs
from obswarm.cli.runs_show import show
from obswarm.cli.stack import down, logs, scale, status
from obswarm.streams import discard, open_standard_streams
from obswarm.cli.targets import targets
from obswarm.streams import say_error, say_lines
from obswarm.cli.text_console import escape_tracebacks
from obswarm.cli.up import up
from obswarm.cli.worker import worker, worker_process
from obswarm.errors import reason_of
from obswarm.temporary import remove_abandoned


@click.group(cls=RootCommand, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="obswarm")
def cli() -> None:
    """Load tests that tell you why your service breaks."""


for command in (
    run,
    master,
    worker,
    runs,
    report,
    compare,
    targets,
    alerts,
    up,
    down,
    status,
    logs,
    scale,
    dashboards,
    container_stats,
    demo,
    config,
):
    cli.add_command(command)
runs.add_command(show)
cli.add_command(worker_process, "worker-process")


def main() -> None:
    """Entry point."""
    open_standard_streams()
    escape_tracebacks()
    open_files.raise_soft_limit()
    # With secrets of a run in them, perhaps.
    remove_abandoned()
    try:
        code = cli.main(prog_name="obswarm", standalone_mode=False)
    except ObswarmError as error:
        say_error(error)
        code = exit_codes.USAGE
    except click.ClickException as error:
        told = StringIO()
        error.show(told)
        say_lines(told.getvalue().rstrip("\n"), err=True)
        code = exit_codes.USAGE
    except click.Abort:
        code = exit_codes.INTERRUPTED
    except BrokenPipeError:
        # `obswarm runs list | head`: whoever read the output has seen enough.
        discard(sys.stdout)
        code = exit_codes.OK
    except OSError as error:
        # A full disk, or standard output on one.
        where = f"{error.filename}: " if error.filename else ""
        say_error(f"{where}{reason_of(error)}.")
        discard(sys.stdout)
        code = exit_codes.USAGE
    sys.exit(code if isinstance(code, int) else exit_codes.OK)


if __name__ == "__main__":
    main()
