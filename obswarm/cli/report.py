"""`obswarm report`: write the report of a run as one HTML file."""

import webbrowser
from pathlib import Path
from typing import Any

import click

from obswarm.app.recording import open_store
from obswarm.app.report_file import write_report
from obswarm.cli.run_options import store_option
from obswarm.streams import echo


@click.command()
@click.argument("run", default="latest")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: RUN.html]"
)
@click.option("--open", "show", is_flag=True, help="Open the report in a browser.")
@store_option
def report(run: str, output: Path | None, show: bool, **options: Any) -> None:
    """Write the report of a run as one HTML file.

    The file needs no network.
    RUN is a run's id or the beginning of it, one of its tags, or `latest`, which is the default.
    """
    with open_store(options["store"]) as store:
        found = store.find(run)
        path = output or Path(f"{found.run_id}.html")
        write_report(store, found, path)
    echo(path)
    if show:
        webbrowser.open(path.resolve().as_uri())
