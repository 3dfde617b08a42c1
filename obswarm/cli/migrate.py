"""`obswarm migrate`: locustfiles with obswarm's own names."""

import difflib
from pathlib import Path

import click

from obswarm.api import ObswarmError
from obswarm.locust.migrate import migrate as migrated
from obswarm.streams import echo, echo_lines


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE...")
@click.option("--write", is_flag=True, help="Change the files.")
def migrate(files: tuple[Path, ...], write: bool) -> None:
    """Show a locustfile with obswarm's own names, as a diff.

    It is never needed: locustfiles run as they are.
    """
    for file in files:
        before = _read(file)
        after = migrated(before, str(file))
        for sentence in after.stays:
            echo(f"{file}, {sentence} stays.", err=True)
        if after.text == before:
            echo(f"{file}: nothing to change.", err=True)
        elif write:
            file.write_text(after.text, encoding="utf-8", newline="")
            echo(f"{file}: changed.", err=True)
        else:
            old, new, name = before.splitlines(), after.text.splitlines(), str(file)
            echo_lines("\n".join(difflib.unified_diff(old, new, name, name, lineterm="")))


def _read(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except OSError as error:
        raise ObswarmError(f"{file}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ObswarmError(f"{file} is not UTF-8; save it as UTF-8.") from None
