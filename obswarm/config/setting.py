"""Metadata of a setting: its names, the processes that need it, its default and limits, and the origin of its value."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_METADATA = "setting"


class Scope(Enum):
    """The processes of a run that need a setting."""

    WORKERS = "workers"
    """Workers, and the process that coordinates the run."""
    RUN = "run"
    """The process that coordinates the run, such as a master; a client sends the setting to a master service."""
    SERVICE = "service"
    """The master alone: the address to listen on, the number of expected workers."""
    LOCAL = "local"
    """The process of this command line alone: its display and its files."""


class Source(Enum):
    """The source of a value; a higher one takes precedence."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a setting's value. `label` is the setting's name in its source: `--users`, `OBSWARM_USERS`,
    `users in obswarm.toml`."""

    source: Source
    label: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of RunConfig.

    `name` is unique in the whole RunConfig, and the key in the store; `path` is its attribute path. `needs` is the
    setting without which this one has no effect; with `redirects`, this setting determines, too, where requests are
    sent. `limits` are the lowest and the highest value; a rate has to be above the lowest one. `unit` is `seconds`,
    `bytes`, `file` for the path of a file that is written, or empty; `unset` describes the default in words if the
    value is None.
    """

    name: str
    path: tuple[str, ...]
    option: str
    """The long option; empty if the setting has none."""
    type: Any
    default: Any
    scope: Scope
    secret: bool
    in_file: bool
    adds: bool
    """Whether values of the command line are appended to those of obswarm.toml, instead of replacing them."""
    excludes: tuple[str, ...]
    needs: str
    redirects: bool
    limits: tuple[int, int] | None
    choices: tuple[str, ...] | None
    unit: str
    unset: str

    @property
    def travels(self) -> bool:
        """Whether a client sends it to a master service."""
        return self.scope in (Scope.WORKERS, Scope.RUN)

    @property
    def is_rate(self) -> bool:
        """Whether the value is a rate, which has to be above the lower limit."""
        return bool(self.type == float | None)

    def allows(self, value: float) -> bool:
        """Whether a number is within the limits."""
        lowest, highest = self.limits or (-math.inf, math.inf)
        return lowest <= value <= highest and not (self.is_rate and value == lowest)

    @property
    def key(self) -> str:
        """The key in obswarm.toml."""
        return self.option.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable."""
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
    """Return the setting that was declared by `setting`; None for another field. `prefix` is the prefix of its name,
    and `needs` the setting that all settings of this part need."""
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
