"""Outputs of third parties: installed packages provide them by the entry point group `obswarm.outputs`, and Python
files by the name of their class."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from obswarm.api import ObswarmError, user_traceback
from obswarm.engine import Output, OutputParams
from obswarm.sanitize import clean_text

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "obswarm.outputs"


def make_outputs(
    requested: Sequence[str],
    configuration: Mapping[str, Any],
    installed: "Iterable[EntryPoint] | None" = None,
) -> list[Output]:
    """Make the requested outputs, each `NAME` or `NAME=ARGUMENT`, where NAME is that of a package's entry point, or
    `MODULE:CLASS`.

    Other packages are not imported. Raises ObswarmError if no package has the name, or several have it, or if the
    output cannot be imported or created; the message then contains the frames of the package from the traceback.
    """
    return [
        _make(entry, OutputParams(argument, option, configuration))
        for entry, option, argument in find_outputs(requested, installed)
    ]


def find_outputs(
    requested: Sequence[str], installed: "Iterable[EntryPoint] | None" = None
) -> "list[tuple[EntryPoint, str, str]]":
    """Return entry point, option and argument of each requested output, without importing it. Raises ObswarmError if no
    package has the name, or several have it, or if MODULE or CLASS is no name."""
    if not requested:
        return []
    # In most runs none is requested, and a list of what is installed takes time and memory.
    from importlib.metadata import EntryPoint, entry_points

    known = list(entry_points(group=GROUP) if installed is None else installed)
    found = []
    for text in requested:
        name, _, argument = text.partition("=")
        option = f"--output {clean_text(name)}"
        module, colon, cls = name.partition(":")
        if not colon:
            found.append((_find(name, option, known), option, argument))
        elif all(each.isidentifier() for each in (*module.split("."), cls)):
            found.append((EntryPoint(name, name, GROUP), option, argument))
        else:
            raise ObswarmError(f"{option}: write the name of a Python module and of a class in it as MODULE:CLASS.")
    return found


def _find(name: str, option: str, known: "Iterable[EntryPoint]") -> "EntryPoint":
    # A package in two places of the import path has two entries, of which the first one counts.
    found = {_package(entry): entry for entry in reversed(list(known)) if entry.name == name}
    if not found:
        names = ", ".join(sorted({clean_text(entry.name) for entry in known}))
        known_names = f"installed outputs: {names}" if names else "no package that adds outputs is installed"
        raise ObswarmError(f"{option}: there is no output of that name; {known_names}.")
    if len(found) > 1:
        packages = " and ".join(sorted(found))
        raise ObswarmError(f"{option}: {packages} both add an output of that name. Uninstall one of them.")
    (entry,) = found.values()
    return entry


def _make(entry: "EntryPoint", params: OutputParams) -> Output:
    try:
        made = entry.load()(params)
    except ObswarmError as error:
        raise ObswarmError(f"{params.option}: {error}") from error
    except (Exception, SystemExit) as error:
        raise ObswarmError(
            f"{params.option}: the output of {_source(entry)} cannot be used:\n{user_traceback(error)}"
        ) from error
    if not isinstance(made, Output):
        raise ObswarmError(
            f"{params.option}: {clean_text(entry.value)} of {_source(entry)} returned"
            f" {clean_text(type(made).__name__)}, which is not an obswarm.Output."
        )
    return made


def _package(entry: "EntryPoint") -> str:
    """Return name and version of an entry point's package."""
    return clean_text(f"{entry.dist.name} {entry.dist.version}") if entry.dist is not None else "an unknown package"


def _source(entry: "EntryPoint") -> str:
    """Return what an output is from, for messages."""
    return f"the package {_package(entry)}" if entry.dist is not None else clean_text(f"the module {entry.module}")
