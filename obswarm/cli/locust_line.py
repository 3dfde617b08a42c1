"""Command lines of Locust as those of obswarm: options with any number of values, flags that take a value here, and
whether a process is a master or a worker, which here is a command."""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, NoReturn

import click

from obswarm.api import LoadTestParser
from obswarm.cli.settings import TopLevelCommand
from obswarm.config import given_to_locust, read_document
from obswarm.config.locust_conf import bind_address_of, is_true
from obswarm.config.toml_file import current_folder
from obswarm.engine import is_url, loadtest_files
from obswarm.streams import STANDARD_OUTPUT

MASTER, WORKER = "master", "worker"

_TAGS = ("-T", "--tags", "-E", "--exclude-tags")
_CONFIG_USERS = "--config-users"
_BIND_HOST, _BIND_PORT = "--master-bind-host", "--master-bind-port"
_ROLES = (f"--{MASTER}", f"--{WORKER}")
_FORMS = (*_TAGS, _CONFIG_USERS)


class Role(NamedTuple):
    """The command that a command line of Locust's stands for, and its arguments."""

    command: str
    arguments: list[str]


def role_of(arguments: Sequence[str]) -> Role | None:
    """Return the command for a command line that makes the process a master or a worker, or for an environment or a
    locust.conf that does; None for a run. Raises click.UsageError, and ObswarmError for a file that cannot be read."""
    line = list(arguments)
    is_ours = any(_is_address(line, i) or text.startswith("--master=") for i, text in enumerate(line))
    on_line = [f"--{role}" in line and not is_ours for role in (MASTER, WORKER)]
    named = _value_of("--config", line)
    chosen = on_line if any(on_line) else [not is_ours and _is_chosen(role, named) for role in (MASTER, WORKER)]
    if all(chosen):
        raise click.UsageError("--master and --worker exclude each other; leave one of them out.")
    if chosen[0]:
        return Role(MASTER, [text for text in line if text != "--master"])
    return Role(WORKER, _of_worker(line)) if chosen[1] else None


def _is_address(line: Sequence[str], i: int) -> bool:
    """Whether there is a --master with the URL of a master service."""
    return line[i] == "--master" and i + 1 < len(line) and is_url(line[i + 1])


def _is_chosen(role: str, named: str | None) -> bool:
    """Whether the environment or a file of Locust's makes the process a master or a worker. `named` is the file of
    --config."""
    variable = f"LOCUST_MODE_{role.upper()}"
    text = os.environ.get(variable, "")
    where = f"{variable} (environment)"
    if not text:
        document = read_document(named, current_folder())
        if document is None or role not in document.cluster:
            return False
        text, where = document.cluster[role], f"{document.where}{role}"
    try:
        return is_true(text)
    except ValueError as error:
        raise click.UsageError(f"{where} is {text!r}; {error}.") from None


def _value_of(option: str, line: Sequence[str]) -> str | None:
    """Return the last value of an option on a command line, None without it."""
    found = [text.partition("=")[2] for text in line if text.startswith(f"{option}=")]
    found += [line[i + 1] for i, text in enumerate(line[:-1]) if text == option]
    return found[-1] if found else None


class _WorkerParser(LoadTestParser):
    def error(self, message: str) -> NoReturn:
        raise click.UsageError(f"{message[:1].upper()}{message[1:]}.")


def _of_worker(line: Sequence[str]) -> list[str]:
    """Return the arguments of `obswarm worker` for a command line of a worker of Locust's."""
    # Most runs need no parser of Locust's options.
    from obswarm.locust.argument_parser import DEFAULT_CONFIG_FILES, setup_parser_options

    named = _value_of("--config", line)
    given = given_to_locust([*DEFAULT_CONFIG_FILES, *([named] if named is not None else [])])
    parser = _WorkerParser(add_help=False, allow_abbrev=False, given=given)
    parser.add_argument("-f", "--locustfile", "--loadtest", default=STANDARD_OUTPUT)
    parser.add_argument("--config")
    setup_parser_options(parser)
    options, left = parser.parse_known_args(list(line))
    # Those are ours, with their values. Other words are user classes, which the master names.
    ours = [text for i, text in enumerate(left) if _is_option(text) or (i and _is_option(left[i - 1]))]
    return [*_worker_arguments(options), *ours]


def _worker_arguments(options: argparse.Namespace) -> Iterator[str]:
    host = options.master_host
    yield f"--master={f'[{host}]' if ':' in host else host}:{options.master_port}"
    if options.processes:
        yield f"--processes={(os.cpu_count() or 1) if options.processes == -1 else options.processes}"
    yield f"--loglevel={options.loglevel}"
    if options.logfile:
        yield f"--logfile={options.logfile}"
    names = [name.strip() for name in options.locustfile.split(",") if name.strip() != STANDARD_OUTPUT]
    for file in [file for name in names for file in loadtest_files(name)]:
        yield str(file)


def translated(line: Sequence[str], commands: Mapping[str, click.Command]) -> list[str]:
    """Return the command line with what Locust writes in another way in obswarm's forms, or another command if it makes
    the process a master or a worker. One without such forms is returned as it is. Raises click.UsageError, and
    ObswarmError for a file that cannot be read."""
    command = commands[line[0]]
    if not isinstance(command, TopLevelCommand):
        return [*line]
    given = {text.partition("=")[0] for text in line}
    if command.name == "run":
        named = next((text[len("--config=") :] for text in line if text.startswith("--config=")), None)
        named = dict(pairwise(line)).get("--config", named)
        if not given.isdisjoint(_ROLES) or any(_is_chosen(role, named) for role in (MASTER, WORKER)):
            role = role_of(line[1:])
            if role is not None:
                return translated([role.command, *role.arguments], commands)
    json_is_flag = any(
        text == "--json" and (after.startswith("-") or after.endswith(".py"))
        for text, after in pairwise([*line, STANDARD_OUTPUT])
    )
    if json_is_flag or not given.isdisjoint(_FORMS) or any("--bind" in param.opts for param in command.params):
        return [line[0], *_translated_forms(line[1:], command)]
    return [*line]


def _translated_forms(arguments: Sequence[str], command: click.Command) -> list[str]:
    """Return arguments with Locust's forms of options in those of a command."""
    options = {name for param in command.params for name in param.opts}
    line = list(arguments)
    result: list[str] = []
    while line:
        text = line.pop(0)
        if text == "--":
            return [*result, text, *line]
        if text in _TAGS:
            words = _words(line)
            # One value: a word of it after the first may be a user class, which the load test tells apart.
            result += [text, " ".join(words)] if words else []
        elif text == _CONFIG_USERS:
            result += [part for word in _words(line) for part in (text, word)]
        elif text == "--json" and (not line or line[0].endswith(".py") or _is_option(line[0])):
            result += ["--json-file", STANDARD_OUTPUT]
        elif text == "--master" and "--bind" in options and not (line and is_url(line[0])):
            continue
        else:
            result.append(text)
    return _with_bind(result) if "--bind" in options else result


def _words(line: list[str]) -> list[str]:
    """Take the values of an option from a command line: up to the next option, or a load-test file."""
    words = []
    while line and not _is_option(line[0]) and not line[0].endswith(".py"):
        words.append(line.pop(0))
    return words


def _is_option(text: str) -> bool:
    return text.startswith("-") and text != STANDARD_OUTPUT


def _with_bind(line: list[str]) -> list[str]:
    """Replace --master-bind-host and --master-bind-port, or their environment variables, by --bind."""
    given = {}
    for option in (_BIND_HOST, _BIND_PORT):
        given[option] = _value_of(option, line) or os.environ.get(f"LOCUST_{option[2:].upper().replace('-', '_')}", "")
        while option in line:
            del line[line.index(option) : line.index(option) + 2]
        line = [text for text in line if not text.startswith(f"{option}=")]
    bind = bind_address_of(given[_BIND_HOST], given[_BIND_PORT])
    is_given = _value_of("--bind", line) is not None or "OBSWARM_BIND" in os.environ
    return [*line, "--bind", bind] if bind and not is_given else line
