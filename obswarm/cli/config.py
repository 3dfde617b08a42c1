"""`obswarm config`: what a run would be told, and where each value is from."""

from typing import Any

import click

from obswarm.cli.master import own_master_options
from obswarm.cli.run import all_run_options, config_of
from obswarm.cli.run_command import arguments_argument, load_test_command
from obswarm.command_line import shown_arguments
from obswarm.config import SETTINGS, FileConfig, RunConfig, Setting, setting_text
from obswarm.json_text import to_json
from obswarm.redact import HIDDEN, is_header_name, redact_text, redact_url, redact_value
from obswarm.streams import say

_ORIGIN_AT = 50
"""The column in which the origin begins, where the value is not longer."""


@load_test_command()
@arguments_argument
@all_run_options
@own_master_options
@click.pass_context
def config(ctx: click.Context, /, **_: Any) -> None:
    """Show the configuration of a run: every value and its origin.

    Takes the options of `obswarm run` and `obswarm master`, and runs nothing. The output has the form of obswarm.toml;
    secrets are not shown.
    """
    found = config_of(ctx)
    group = ""
    for each in SETTINGS.values():
        if each.path[0] != group:
            group = each.path[0]
            say(f"# {group}")
        say(_line(found, each))
    for text in _tables(found.file):
        say(text)


def _line(found: RunConfig, each: Setting) -> str:
    """A key, its value, and where that is from; a comment where there is no value that the file could have."""
    value, origin = found.value(each.name), found.label(each.name) if found.is_given(each.name) else "default"
    key = each.key or each.name
    if not each.option:
        text = f"# {key}: {' '.join(shown_arguments(value)) or 'none'}"
    elif each.name == "workers" and value is None:
        text = f'{key} = "auto"'
    elif value in (None, ()) and not found.file.texts.get(each.key):
        return f"# {key} is not set"
    elif each.secret:
        text = f"# {key} = {to_json(HIDDEN)}"
    else:
        of_file = found.file.texts.get(each.key, ())
        if of_file:
            origin = f"{found.file.path}{f' and {origin}' if value else ''}"
        text = f"{key} = {_toml(each, (*of_file, *value) if of_file else value)}"
    return f"{text:<{_ORIGIN_AT}} # {origin}"


def _toml(each: Setting, value: Any) -> str:
    if isinstance(value, bool | int):
        return to_json(value)
    if each.unit == "seconds" or isinstance(value, float):
        return f"{value:g}"
    if each.name == "stages":
        return to_json(",".join(f"{seconds:g}s:{users}" for seconds, users in value))
    if each.name == "bind":
        return to_json(setting_text(each.name, value))
    return to_json(redact_value(each.name if is_header_name(each.name) else "", _plain(value)))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tables(file: FileConfig) -> list[str]:
    lines = [
        f"{key} = {value:g}" for key, value in (("keep_for", file.keep_for), ("keep_runs", file.keep_runs)) if value
    ]
    for target in file.targets:
        lines += ["", "[[targets]]", f"kind = {to_json(target.kind)}", f"url = {to_json(redact_url(target.url))}"]
        lines += [f"name = {to_json(target.name)}"] if target.name else []
    for guard in file.guards:
        lines += ["", "[[guards]]", *(f"{key} = {to_json(redact_text(str(value)))}" for key, value in guard.items())]
    return lines
