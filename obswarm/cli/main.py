"""The `obswarm` command and its subcommands."""

from obswarm import gevent_patch  # noqa: F401,I001 - has to be imported first

import sys
from io import StringIO

import click

from obswarm import __version__
from obswarm.app import exit_codes
from obswarm.cli.commands import COMMANDS, RootCommand
from obswarm.cli.file_values import FileValues
from obswarm.cli.process import command_process
from obswarm.errors import ObswarmError
from obswarm.streams import echo_error, echo_lines

_values = FileValues()
"""Of the one command line of this process."""


@click.group(
    cls=RootCommand,
    rows=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "default_map": _values},
    epilog="Begin with `obswarm demo`, which needs no other software, or with `obswarm run` and a load-test file.",
)
@click.version_option(__version__, "-V", "--version", prog_name="obswarm")
def cli() -> None:
    """Load tests that tell you why your service breaks."""


def main() -> None:
    """Run the command; the entry point of the package."""
    with command_process() as process:
        try:
            line = sys.argv[1:]
            row = COMMANDS.get(line[0]) if line else None
            if row is not None and row.runs_load_tests:
                # Other commands need no options of Locust.
                from obswarm.cli.locust_line import translated

                line = translated(line, cli.commands)
            process.code = cli.main(line, prog_name="obswarm", standalone_mode=False)
        except (ObswarmError, click.ClickException) as error:
            from obswarm.cli.places import with_origin

            _show(with_origin(error, _values.context))
            process.code = exit_codes.USAGE
        except click.Abort:
            process.code = exit_codes.INTERRUPTED


def _show(error: Exception) -> None:
    if not isinstance(error, click.ClickException):
        echo_error(error)
        return
    text = StringIO()
    error.show(text)
    echo_lines(text.getvalue().rstrip("\n"), err=True)


if __name__ == "__main__":
    main()
