"""Others see no secret in the list of processes, and a process that runs the command again has them all."""

import os
import shlex
import subprocess
import sys

from obswarm.command_line import shown_arguments

ARGUMENTS = (
    *("run", "a.py", "--api-token", "PLANTED with spaces", "--remote-write-auth=user:PLANTED", "-H"),
    *("http://user:PLANTED@127.0.0.1:1/a", "-Hhttp://user:PLANTED@h", "--target", "app=http://u:PLANTED@h/m"),
    *("--monkey", "kept", "--token-count", "5", "--own", "PLANTED-by-value", "--stop-when", "p95 > 1s"),
)
_SHOWS_ITSELF = """
import os, sys
from obswarm import command_line
command_line.hide_secrets()
command_line.hide_secrets({{"--own": False}})
with open("/proc/self/cmdline") as file:
    print(repr(file.read().split(chr(0))[:-1][-{count}:]))
print(repr(sys.argv[1:]), flush=True)
if "again" not in os.environ:
    os.execve(sys.executable, command_line.command_again(), {{**os.environ, "again": "", **command_line.environment_of_it()}})
assert "OBSWARM_HIDDEN_ARGUMENTS" not in os.environ
"""


def test_secrets_are_told_by_the_names_of_options_and_in_urls() -> None:
    assert shown_arguments(ARGUMENTS) == [
        *("run", "a.py", "--api-token", "***", "--remote-write-auth=***", "-H"),
        *("http://127.0.0.1:1/a", "-Hhttp://h", "--target", "app=http://h/m"),
        *("--monkey", "kept", "--token-count", "5", "--own", "PLANTED-by-value", "--stop-when", "p95 > 1s"),
    ]


def test_only_the_values_of_a_secret_option_are_hidden_all_that_it_takes_and_its_short_form() -> None:
    arguments = shlex.split("run -H http://127.0.0.1:4 -u 1 --pin 1 --db-tokens PLANTED PLANTED -k PLANTED -kPLANTED x")
    shown = shlex.split("run -H http://127.0.0.1:4 -u 1 --pin *** --db-tokens *** *** -k *** -k*** x")
    assert shown_arguments(arguments, {"--pin": False, "--db-tokens": True, "-k": False}) == shown


def test_a_header_is_hidden_where_its_own_name_says_so() -> None:
    arguments = (
        "run",
        "--own-header",
        "X-Api-Key: PLANTED",
        "--own-header=X-Secret:PLANTED",
        "--header",
        "X-Team: kept",
    )
    shown = ["run", "--own-header", "X-Api-Key: ***", "--own-header=X-Secret: ***", "--header", "X-Team: kept"]
    assert shown_arguments(arguments) == shown


def test_the_process_list_has_none_also_after_the_command_was_run_again() -> None:
    script = _SHOWS_ITSELF.format(count=len(ARGUMENTS))
    done = subprocess.run(
        [sys.executable, "-c", script, *ARGUMENTS], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    lines = [eval(line) for line in done.stdout.splitlines()]
    seen, given, seen_again, given_again = lines
    assert given == given_again == list(ARGUMENTS)
    for shown in (seen, seen_again):
        assert "PLANTED" not in repr(shown)
        assert [each.strip() for each in shown] == [*shown_arguments(ARGUMENTS)[:-3], "***", "--stop-when", "p95 > 1s"]
