"""Generate docs/settings.md from the options; with --check, only verify that the file is up to date.

python docs/make_settings.py [--check]
"""

from obswarm import gevent_patch  # noqa: F401,I001 - first of all; see there

import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from obswarm.cli.file_option import FileOption
from obswarm.cli.main import cli
from obswarm.cli.settings import sections_of, top_level_options
from obswarm.config.toml_file import GUARD_KEYS, KEYS, TARGET_KEYS
from obswarm.targets import KIND_KEYS, KINDS, METRIC_KEYS

PAGE = Path(__file__).with_name("settings.md")

_INTRODUCTION = """# Settings: obswarm.toml

<!-- Made by docs/make_settings.py from the options themselves. -->

`obswarm.toml` in the current directory contains the settings of a project; if there is no such file, `[tool.obswarm]`
in `pyproject.toml` is used. `--config FILE` selects another file. `obswarm run` then needs no options:

```toml
loadtest = "tests/load/loadtest.py"
host = "https://staging.example.com"
users = 200
spawn_rate = 10
run_time = "10m"                # or 600, in seconds
tags = ["read", "search"]
stop_when = ["error_ratio > 5% for 10s"]
require = ["p95 < 500ms", "error_ratio < 1%"]
keep_runs = 50

[[targets]]
kind = "mysql"
url = "http://db.staging:9104/metrics"

[worker]
processes = 4
```

A key is the name of the long option, with underscores. The command line takes precedence over the environment
(`OBSWARM_SPAWN_RATE`), the environment over the file, and the file over the default. In an environment variable,
guards, requirements and headers are separated by line breaks, since they contain spaces; values of other options that
can be repeated are separated by spaces. A list on the command line replaces the one in the file, except that guards,
requirements and targets of both are used. Of options that exclude each other, such as `stages` and `users`, the one
with the higher precedence is used, and a message says so; with equal precedence they are refused. A load-test file on
the command line has precedence over `loadtest`. Paths are relative to the current directory, as on the command line.
Flags are `true` or `false`.

An invalid file is refused, with the place of the error: an unknown key, a value of the wrong type, a text that cannot
be parsed; also in keys that another command uses, or that the command line or the environment overrides. If the value
of an option is invalid, the message names the file and key, or the environment variable, that it comes from. The file
is UTF-8, with or without a byte-order mark. Keep secrets in the environment (`OBSWARM_REMOTE_WRITE_TOKEN`) rather than
in a file that is under version control.

The top level contains the options of `obswarm run` and `obswarm master`; other commands use those that mean the same to
them (`store`, `project`, `prometheus_url`, `grafana_url` …). The tables `[worker]` and `[up]` are for these commands
alone. If a run is submitted to a stack or another master, the settings of the file are sent with it. A master service
(`obswarm master --serve`) reads its own settings, such as its addresses, from its file; load, host and outputs of its
runs are set by their clients alone.
"""


_KINDS = """A kind of target of your own: see [your own kinds](guards.md#your-own-kinds)."""


def page() -> str:
    lines = [_INTRODUCTION, "## Options of a run", ""]
    lines += _table(top_level_options(cli).values())
    for name, options in sections_of(cli).items():
        lines += ["", f"## [{name}]", "", f"Options of `obswarm {name}`.", ""]
        lines += _table(options.values())
    lines += ["", "## Stored runs, targets, guards", "", *_keys(KEYS)]
    lines += ["", "## [[targets]]", "", *_keys(TARGET_KEYS), "", _wrapped(f"Kinds: {_codes(KINDS)}.")]
    lines += ["", "## [[guards]]", "", *_keys(GUARD_KEYS)]
    lines += ["", "## [[kinds]]", "", _wrapped(_KINDS), "", *_keys(KIND_KEYS)]
    lines += ["", "### [[kinds.metrics]]", "", *_keys(METRIC_KEYS)]
    return "\n".join(lines) + "\n"


def _table(options: Iterable[FileOption]) -> list[str]:
    lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for option in options:
        meaning, default = _meaning(option)
        lines.append(f"| `{option.key}` | {_value(option)} | {default} | {_cell(meaning)} |")
    return lines


def _keys(keys: Mapping[str, str]) -> list[str]:
    return ["| key | meaning |", "| --- | --- |", *(f"| `{key}` | {_cell(meaning)} |" for key, meaning in keys.items())]


def _value(option: FileOption) -> str:
    if option.is_flag:
        return "`true`, `false`"
    if isinstance(option.type, click.Choice):
        return ", ".join(f'`"{choice}"`' for choice in option.type.choices)
    if isinstance(option.type, click.IntRange):
        least, most = option.type.min, option.type.max
        if most is None:
            return "an integer" if least is None else f"an integer, {least:,} or more"
        return f"an integer, at most {most:,}" if least is None else f"an integer, {least:,} to {most:,}"
    form = f"`{_cell(option.metavar or 'TEXT')}`"
    if option.multiple:
        return f"a list of strings, each {form}"
    return f"a string or a number, {form}" if option.takes_numbers else f"a string, {form}"


def _meaning(option: FileOption) -> tuple[str, str]:
    """Return (the help text without its default, the default, also where only the help text has one)."""
    text = re.sub(r"; repeatable(, or separated by commas|, as the next four options)?\.", ".", option.help or "")
    text, _, said = text.partition("[default: ")
    default = said.rstrip("]") or (str(option.default) if option.show_default else "")
    return re.sub(r"  \[.*\]$", "", text).strip(), _cell(default)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False)


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            sys.exit(f"{PAGE} is out of date; run python docs/make_settings.py")
        return
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
