"""Hide secrets in this process's command line, which every user of the machine can read (`ps`).

Secrets are overwritten as soon as the process has parsed its arguments. Processes started with the same command get
them by their environment, which only the owner can read. On Linux the memory of the arguments can be overwritten
(proc(5), cmdline); on other systems the command line is left unchanged.
"""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from obswarm.redact import HIDDEN, is_header_name, is_secret_name, redact_header, redact_text, redact_url

_VARIABLE = "OBSWARM_HIDDEN_ARGUMENTS"
"""JSON object: position of an argument counted from the end → value to put in place of `***`."""

_STARTS_AT, _ENDS_AT = 47, 48
"""Indexes of arg_start and arg_end in /proc/self/stat (proc(5) counts from 1)."""

_hidden: dict[int, tuple[str, str]] = {}
"""Position in sys.orig_argv counted from the end → (argument, redacted argument)."""


def hide_secrets(flags: Mapping[str, bool] = MappingProxyType({})) -> None:
    """Overwrite the secrets in this process's command line: values of options whose names denote secrets, passwords in
    URLs, and values of the options `flags` (see `shown_arguments`). sys.argv keeps its values, and gets those that a
    parent process has hidden."""
    for place, argument in _of_parent().items():
        for arguments in (sys.argv, sys.orig_argv):
            if 0 < -place < len(arguments):
                arguments[place] = argument
    arguments = sys.orig_argv
    for place, (argument, without) in enumerate(zip(arguments, shown_arguments(arguments, flags), strict=True)):
        if without != argument:
            _hidden[place - len(arguments)] = argument, without
    with suppress(OSError, ValueError, LookupError):
        _overwrite()


def command_again() -> list[str]:
    """Return the command line of this process, to start it again, without secrets; those are in `environment_of_it`."""
    count = len(sys.orig_argv)
    shown = [_hidden.get(place - count, ("", each))[1] for place, each in enumerate(sys.orig_argv)]
    return [sys.executable, *shown[1:]]


def environment_of_it() -> dict[str, str]:
    """Return the additional environment variables for a process started with `command_again`."""
    return {_VARIABLE: json.dumps({place: real for place, (real, _) in _hidden.items()})} if _hidden else {}


def shown_arguments(arguments: Sequence[str], flags: Mapping[str, bool] = MappingProxyType({})) -> list[str]:
    """Return the arguments with secrets redacted. `flags` are further options with secret values; True for those that
    take all arguments up to the next option."""
    shown: list[str] = []
    secret_follows = takes_all = header_follows = False
    for argument in arguments:
        option, equals, value = argument.partition("=")
        is_option = re.match(r"--?[A-Za-z]", argument) is not None
        is_secret = is_option and (option in flags or is_secret_name(option.lstrip("-")))
        if secret_follows and not (is_option and (is_secret or takes_all)):
            shown.append(HIDDEN)
            secret_follows = takes_all
            continue
        if is_secret and equals:
            shown.append(f"{option}={HIDDEN}")
        elif header_follows and not is_option:
            shown.append(redact_header(argument))
        elif is_option and equals and is_header_name(option):
            shown.append(f"{option}={redact_header(value)}")
        elif not is_secret and argument[:2] in flags:
            # -kVALUE
            shown.append(f"{argument[:2]}{HIDDEN}")
        else:
            shown.append(_without_url_secrets(argument))
        secret_follows = is_secret and not equals
        header_follows = is_option and not equals and is_header_name(option)
        takes_all = secret_follows and flags.get(option, False)
    return shown


def _without_url_secrets(argument: str) -> str:
    before, separator, url = argument.partition("http")
    return redact_text(f"{before}{separator}{redact_url(url)}" if "://" in url else argument)


def _of_parent() -> Mapping[int, str]:
    try:
        values = json.loads(os.environ.pop(_VARIABLE, "{}"))
        return {int(place): str(argument) for place, argument in values.items()}
    except (ValueError, AttributeError):
        return {}


def _overwrite() -> None:
    platform: str = sys.platform
    if platform != "linux" or not _hidden:
        return
    with open("/proc/self/stat", "rb") as file:
        # The second field, the name of the command, may contain spaces and parentheses.
        fields = [b"", b"", *file.read().rpartition(b")")[2].split()]
    begin, end = int(fields[_STARTS_AT]), int(fields[_ENDS_AT])
    with open("/proc/self/cmdline", "rb") as file:
        seen = file.read()
    if end - begin != len(seen) or not seen.endswith(b"\0"):
        return
    arguments = seen[:-1].split(b"\0")
    for place, (argument, shown) in _hidden.items():
        real = os.fsencode(argument)
        if -place < len(arguments) and arguments[place] == real:
            arguments[place] = os.fsencode(shown)[: len(real)].ljust(len(real))
    content = b"\0".join(arguments) + b"\0"
    if len(content) == len(seen):
        # Only here: most command lines have no secrets.
        import ctypes

        ctypes.memmove(begin, content, len(content))
