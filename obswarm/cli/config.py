"""`obswarm config`: the configuration of a run, and the origin of each value."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import click

from obswarm.app.build import check_config
from obswarm.cli.locust_options import locust_options
from obswarm.cli.master import own_master_options
from obswarm.cli.run import all_run_options, config_of
from obswarm.cli.run_command import arguments_argument, load_test_command
from obswarm.command_line import shown_arguments
from obswarm.config import SETTINGS, AccessConfig, FileConfig, RunConfig, Setting, TargetTable, setting_text
from obswarm.json_text import to_json
from obswarm.redact import HIDDEN, is_header_name, redact_value
from obswarm.streams import echo
from obswarm.units import format_limit

_ORIGIN_AT = 50
"""Column of the origin, unless the value is longer."""
_IN_PLACE = f"{HIDDEN}@"
"""Replacement for the credentials of a URL."""
_SECRET_LINE = "insert the secret and uncomment this line to use it"
_SECRET_TABLE = "insert the secrets and uncomment these lines to use them"


@load_test_command()
@arguments_argument
@all_run_options
@own_master_options
@locust_options
@click.pass_context
def config(ctx: click.Context, /, **_: Any) -> None:
    """Show the settings of a run, and their origins.

    Takes the options of `obswarm run` and `obswarm master`, but runs nothing. The output has the format of
    obswarm.toml, with defaults as comments, and values with secrets as comments with *** in place of the secret. An
    invalid configuration is refused with the message of `obswarm run`.
    """
    found = config_of(ctx)
    check_config(found)
    echo(f"# file: {found.file.path or 'none'}")
    group = ""
    for each in SETTINGS.values():
        if each.path[0] != group:
            group = each.path[0]
            echo(f"# {group}")
        echo(_line(found, each))
    for text in _lines_of_file(found.file):
        echo(text)


def _line(found: RunConfig, each: Setting) -> str:
    """Return key, value and origin of a setting; as a comment unless the value was given and is no secret."""
    value, of_file, key = found.value(each.name), found.file.texts.get(each.key, ()), each.key or each.name
    origin = _origin(found, each, of_file)
    if not each.option:
        return _with_origin(f"# {key}: {' '.join(shown_arguments(value)) or 'none'}", origin)
    other = _excluding(found, each)
    if other:
        return _with_origin(f"# {key}: not used", f"because of {other}")
    if each.name == "workers" and value is None:
        value = "auto"
    if value in (None, ()) and not of_file:
        return _with_origin(f"# {key}: {each.unset or 'not set'}", origin)
    values = (*of_file, *value) if of_file else value
    text = f"{key} = {_toml(each, values)}"
    if to_json(_redacted(each, values)) != to_json(values):
        return _with_origin(f"# {text}", f"{origin}; {_SECRET_LINE}")
    return _with_origin(text if of_file or found.is_given(each.name) else f"# {text}", origin)


def _origin(found: RunConfig, each: Setting, of_file: tuple[str, ...]) -> str:
    own = [found.label(each.name)] if found.is_given(each.name) else []
    return " and ".join([f"{each.key} in {found.file.path}", *own] if of_file else own) or "default"


def _excluding(found: RunConfig, own: Setting) -> str:
    """Return the label of a given setting that excludes `own`; empty if there is none, or `own` was given itself."""
    if found.is_given(own.name):
        return ""
    others = [each.name for each in SETTINGS.values() if own.name in each.excludes] + list(own.excludes)
    names = [name for name in others if found.is_given(name) and found.value(name) not in (None, False, ())]
    return found.label(names[0]) if names else ""


def _with_origin(text: str, origin: str) -> str:
    return f"{text:<{_ORIGIN_AT}} # {origin}"


def _toml(each: Setting, value: Any) -> str:
    if each.unit == "seconds":
        return to_json(format_limit(value))
    if each.name == "stages":
        return to_json(",".join(f"{format_limit(seconds)}:{users}" for seconds, users in value))
    if each.name == "bind" or each.unit == "bytes":
        return to_json(setting_text(each.name, value))
    if isinstance(value, float):
        return f"{value:.15g}"
    return to_json(_redacted(each, value))


def _redacted(each: Setting, value: Any) -> Any:
    if each.secret:
        return HIDDEN
    return redact_value(each.name if is_header_name(each.name) else "", value, _IN_PLACE)


def _lines_of_file(file: FileConfig) -> Iterator[str]:
    """Return the lines for values of the file that are not options."""
    for key, text in (
        ("keep_for", "" if file.keep_for is None else to_json(format_limit(file.keep_for))),
        ("keep_runs", "" if file.keep_runs is None else str(file.keep_runs)),
    ):
        if text:
            yield _with_origin(f"{key} = {text}", f"{key} in {file.path}")
        else:
            yield _with_origin(f"# {key}: not set", "default")
    for target in file.targets:
        yield from _table("targets", _keys_of(target), file.path)
    for guard in file.guards:
        yield from _table("guards", dict(guard), file.path)
    for kind in file.kinds:
        yield from _table("kinds", dict(kind.values), file.path)
        for metric in kind.metrics:
            yield from _table("kinds.metrics", dict(metric), file.path)


def _keys_of(target: TargetTable) -> dict[str, Any]:
    access = target.access
    headers = dict(text.split(": ", 1) for text in access.headers)
    values = {"kind": target.kind, "url": target.url, "name": target.name, "headers": headers or None}
    values |= {each.name: getattr(access, each.name) for each in fields(AccessConfig) if each.name != "headers"}
    return {key: value for key, value in values.items() if value is not None}


def _table(name: str, values: dict[str, Any], path: str) -> Iterator[str]:
    """Return the lines of a table, as comments if it contains secrets."""
    shown = redact_value("", values, _IN_PLACE)
    before, remark = ("", "") if shown == values else ("# ", f"; {_SECRET_TABLE}")
    yield ""
    yield _with_origin(f"{before}[[{name}]]", f"{path}{remark}")
    for key, value in shown.items():
        yield f"{before}{key} = {_inline(value)}"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{to_json(key)} = {to_json(each)}' for key, each in value.items())} }}"
    return to_json(value)
