"""What is known of a setting of a run besides its value: its name, whom it concerns, where its value is from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_METADATA = "setting"


class Scope(Enum):
    """Which processes of a run need to know a setting."""

    WORKERS = "workers"
    """Those that run users, and the one that conducts the run."""
    RUN = "run"
    """The one that conducts the run: a master, or a service that a client asks for it."""
    SERVICE = "service"
    """A master alone: where it listens, how many workers it waits for."""
    LOCAL = "local"
    """The process that was given it alone: what it shows and writes."""


class Source(Enum):
    """Where a value is from, the farthest first: a nearer one takes precedence."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the value of a setting is from. `label` is how its source calls it: `--users`, `OBSWARM_USERS`,
    `users in obswarm.toml`."""

    source: Source
    label: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of RunConfig.

    `name` is unique in the whole RunConfig, and the name under which the store keeps the value; `path` are the
    attributes that lead to it. `needs` is the setting without which this one means nothing; with `redirects` it says,
    as that one does, where something is sent. `limits` are the lowest and the highest value; `unit` is `seconds`,
    `bytes`, `file` for the name of a file that is written, or empty; `unset` says in words what applies where there is
    no value, for one whose default is none.
    """

    name: str
    path: tuple[str, ...]
    option: str
    """The long option; empty for one that is no option."""
    type: Any
    default: Any
    scope: Scope
    secret: bool
    in_file: bool
    adds: bool
    """Values of obswarm.toml come before those of the command line, which do not replace them."""
    excludes: tuple[str, ...]
    needs: str
    redirects: bool
    limits: tuple[int, int] | None
    choices: tuple[str, ...] | None
    unit: str
    unset: str

    @property
    def travels(self) -> bool:
        """Whether a client sends it to the service that makes its run."""
        return self.scope in (Scope.WORKERS, Scope.RUN)

    @property
    def key(self) -> str:
        """In obswarm.toml."""
        return self.option.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """In the environment."""
        return f"OBSWARM_{self.key.upper()}"


def setting(
    default: Any,
    option: str | None = None,
    *,
    scope: Scope = Scope.RUN,
    secret: bool = False,
    in_file: bool = True,
    adds: bool = False,
    excludes: tuple[str, ...] = (),
    needs: str = "",
    redirects: bool = False,
    limits: tuple[int, int] | None = None,
    choices: tuple[str, ...] | None = None,
    unit: str = "",
    unset: str = "",
) -> Any:
    """Declare a field of RunConfig or of one of its parts: a dataclass field with the metadata of a Setting.

    Without `option` it is named after the field: `spawn_rate` is --spawn-rate.
    """
    metadata = {
        "option": option,
        "scope": scope,
        "secret": secret,
        "in_file": in_file,
        "adds": adds,
        "excludes": excludes,
        "needs": needs,
        "redirects": redirects,
        "limits": limits,
        "choices": choices,
        "unit": unit,
        "unset": unset,
    }
    return field(default=default, repr=not secret, metadata={_METADATA: metadata})


def setting_of(
    metadata: Mapping[Any, Any], name: str, path: tuple[str, ...], kind: Any, default: Any, prefix: str, needs: str
) -> Setting | None:
    """The setting that `setting` has declared; None for another field. `prefix` begins the names of all settings of its
    part, which need `needs`."""
    declared = metadata.get(_METADATA)
    if declared is None:
        return None
    values = dict(declared)
    own = prefix + name
    if values["option"] is None:
        values["option"] = "--" + own.replace("_", "-")
    elif prefix and values["option"]:
        values["option"] = f"--{prefix.replace('_', '-')}{values['option'].removeprefix('--')}"
    values["excludes"] = tuple(prefix + other for other in values["excludes"])
    values["needs"] = values["needs"] or needs
    return Setting(name=own, path=path, type=kind, default=default, **values)
