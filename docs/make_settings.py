"""Writes docs/settings.md from the options and tables themselves; with --check it only says whether the file is up to
date.

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
from obswarm.targets import KINDS

PAGE = Path(__file__).with_name("settings.md")

_INTRODUCTION = """# Settings: obswarm.toml

<!-- Made by docs/make_settings.py from the options themselves. -->

What a project keeps stands in `obswarm.toml` in the folder where `obswarm` is called, under `[tool.obswarm]` in its
`pyproject.toml` if there is no such file, or where `--config FILE` says. Then `obswarm run` is all that has to be
typed:

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

A key is the name of the long option with underscores. The command line counts over the environment
(`OBSWARM_SPAWN_RATE`), that over the file, and the file over the default. In the environment, guards, requirements and
headers stand on a line each (they have blanks); of other options that can be repeated, blanks separate the values. A
list on the command line takes the place of the file's, but guards, requirements and targets of both count. Of options
that exclude each other, as `stages` and `users`, the nearer one counts, with a note; where both are equally near they
are refused. A load-test file on the command line is nearer than `loadtest`. Paths are relative to the current folder,
as on the command line. Flags are `true` or `false`.

What the file cannot mean is refused with its place: an unknown key, a value of the wrong type, a text that does not
parse; also what another command reads, or what command line and environment say otherwise. Where something is wrong
with an option, file and key, or the variable of the environment, are named if its value comes from there. The file is
UTF-8, with or without a byte-order mark. Secrets are better kept in the environment
(`OBSWARM_REMOTE_WRITE_TOKEN`) than in a file that is under version control.

At the top level stand the options of `obswarm run` and `obswarm master`; other commands take from there what means the
same to them (`store`, `project`, `prometheus_url`, `grafana_url` …). The tables `[worker]` and `[up]` are for these
commands alone. A stack or another master that makes a run is sent what the file says. A service (`obswarm master
--serve`) takes from a file of its own where it listens and the like, and gives its runs nothing of what their clients
say: load, host, outputs.
"""


def page() -> str:
    lines = [_INTRODUCTION, "## Options of a run", ""]
    lines += _table(top_level_options(cli).values())
    for name, options in sections_of(cli).items():
        lines += ["", f"## [{name}]", "", f"Options of `obswarm {name}`.", ""]
        lines += _table(options.values())
    lines += ["", "## Runs that are kept, targets, guards", "", *_keys(KEYS)]
    lines += ["", "## [[targets]]", "", *_keys(TARGET_KEYS), "", _wrapped(f"Kinds: {_codes(KINDS)}.")]
    lines += ["", "## [[guards]]", "", *_keys(GUARD_KEYS)]
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
        return f"a whole number, {option.type.min:,} to {option.type.max:,}"
    form = f"`{_cell(option.metavar or 'TEXT')}`"
    if option.multiple:
        return f"a list of texts, each {form}"
    return f"a text or a number, {form}" if option.takes_numbers else f"a text, {form}"


def _meaning(option: FileOption) -> tuple[str, str]:
    """What --help says, and the default, which stands in there where it is not the option's own."""
    text = re.sub(r"; repeat( it)?\.", ".", option.help or "").replace(" Repeat it.", "")
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
