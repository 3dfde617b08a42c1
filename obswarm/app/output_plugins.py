"""Outputs of third parties: installed packages add them by the entry point group `obswarm.outputs`."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from obswarm.api import ObswarmError, user_traceback
from obswarm.engine import Output, OutputParams
from obswarm.sanitize import clean_text

GROUP = "obswarm.outputs"


def make_outputs(
    requested: Sequence[str],
    configuration: Mapping[str, Any],
    installed: Iterable[EntryPoint] | None = None,
) -> list[Output]:
    """Make the outputs that were asked for as `NAME` or `NAME=ARGUMENT`.

    Packages that were not asked for are not imported. Raises ObswarmError for a name that no package has, or more than
    one, and for an output that cannot be imported or made; a traceback has the frames of the package.
    """
    return [
        _make(entry, OutputParams(argument, option, configuration))
        for entry, option, argument in find_outputs(requested, installed)
    ]


def find_outputs(
    requested: Sequence[str], installed: Iterable[EntryPoint] | None = None
) -> list[tuple[EntryPoint, str, str]]:
    """Return entry point, option and argument of each output that was asked for, and import none. Raises ObswarmError
    for a name that no package has, or more than one."""
    known = list(entry_points(group=GROUP) if installed is None else installed)
    found = []
    for text in requested:
        name, _, argument = text.partition("=")
        option = f"--output {clean_text(name)}"
        found.append((_find(name, option, known), option, argument))
    return found


def _find(name: str, option: str, known: Iterable[EntryPoint]) -> EntryPoint:
    # Two entries of one package in two places of the import path are one; the first place counts.
    found = {_package(entry): entry for entry in reversed(list(known)) if entry.name == name}
    if not found:
        names = ", ".join(sorted({clean_text(entry.name) for entry in known}))
        there = f"installed outputs: {names}" if names else "no package that adds outputs is installed"
        raise ObswarmError(f"{option}: there is no output of that name; {there}.")
    if len(found) > 1:
        packages = " and ".join(sorted(found))
        raise ObswarmError(f"{option}: {packages} both add an output of that name. Uninstall one of them.")
    (entry,) = found.values()
    return entry


def _make(entry: EntryPoint, params: OutputParams) -> Output:
    try:
        made = entry.load()(params)
    except ObswarmError as error:
        raise ObswarmError(f"{params.option}: {error}") from error
    except (Exception, SystemExit) as error:
        raise ObswarmError(
            f"{params.option}: the output of the package {_package(entry)} cannot be used:\n{user_traceback(error)}"
        ) from error
    if not isinstance(made, Output):
        raise ObswarmError(
            f"{params.option}: {clean_text(entry.value)} of the package {_package(entry)} gave"
            f" {clean_text(type(made).__name__)}, which is no obswarm.Output."
        )
    return made


def _package(entry: EntryPoint) -> str:
    """Name and version of the package that an entry point belongs to."""
    return clean_text(f"{entry.dist.name} {entry.dist.version}") if entry.dist is not None else "an unknown package"
