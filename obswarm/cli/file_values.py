"""Values of obswarm.toml as click's default_map."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import click


class FileValues(Mapping[str, Any]):
    """The file's values by the names of a command's parameters. click looks them up for options that neither command
    line nor environment have, and hands the whole on from each group to its subcommand."""

    def __init__(self) -> None:
        self.context: click.Context | None = None
        """The context of the last command whose options were looked up; errors that have none use it."""

    def __getitem__(self, name: str) -> Any:
        ctx = click.get_current_context()
        option = next((each for each in ctx.command.get_params(ctx) if each.name == name), None)
        if option is None and isinstance(ctx.command, click.Group):
            return self
        if not hasattr(option, "in_file"):
            raise KeyError(name)
        # Commands without such options need no file.
        from obswarm.cli.settings import TomlOption, file_value

        self.context = ctx
        value = file_value(ctx, cast(TomlOption, option))
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True
