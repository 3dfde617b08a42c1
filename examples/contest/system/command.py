"""The command lines for processes and for Compose: up, down, status, fault."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from system import HERE, LOOPBACK, ContestError
from system.composed import Composed
from system.faults import BY_NAME, FAULTS, Fault
from system.native import Native
from system.parts import BY_NAME as PARTS


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="A programming contest to test load tests with.")
    parser.add_argument(
        "--run",
        type=Path,
        default=Path(os.environ.get("CONTEST_RUN", HERE / ".run")),
        metavar="DIR",
        help="folder of what is written while it runs (default: %(default)s, or CONTEST_RUN)",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="start everything and wait until it answers")
    commands.add_parser("down", help="end everything and remove its files")
    commands.add_parser("status", help="what runs, and where it can be reached")
    fault = commands.add_parser("fault", help="list faults, or switch one on or off")
    fault.add_argument("name", nargs="?", choices=[each.name for each in FAULTS], metavar="NAME")
    fault.add_argument("switch", nargs="?", choices=["on", "off"], metavar="on|off", default="on")
    return parser


def native(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 2 for an error of the user, 1 if `status` finds an unhealthy part."""
    options = _parser("native").parse_args(arguments)
    return _carry_out(options, lambda: _native(Native(options.run.resolve()), options))


def composed(arguments: Sequence[str] | None = None) -> int:
    """As `native`, with Docker Compose."""
    options = _parser("composed").parse_args(arguments)
    return _carry_out(options, lambda: _composed(Composed(options.run.resolve()), options))


def _carry_out(options: argparse.Namespace, command: Callable[[], int]) -> int:
    try:
        return command()
    except ContestError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _native(contest: Native, options: argparse.Namespace) -> int:
    match options.command:
        case "up":
            print("Starting the contest; making its database takes some seconds.", flush=True)
            contest.up()
            _show(contest)
            _show_next(contest.run, contest.url("load-balancer"), contest.run / "obswarm.toml")
        case "down":
            contest.down()
        case "status":
            return _show(contest)
        case "fault":
            if contest.state is None and options.name is not None:
                raise ContestError("The contest is not running here; start it with `native up`.")
            _fault(contest, options.name, options.switch)
    return 0


def _composed(contest: Composed, options: argparse.Namespace) -> int:
    match options.command:
        case "up":
            print("Starting the contest's containers; images are fetched and built first.", flush=True)
            contest.up()
            print(contest.status())
            port = PARTS["load-balancer"].ports["http"]
            _show_next(contest.run, f"http://{LOOPBACK}:{port}", HERE / "obswarm.toml")
        case "down":
            contest.down()
        case "status":
            print(contest.status())
            _show_faults(contest)
        case "fault":
            _fault(contest, options.name, options.switch)
    return 0


def _show(contest: Native) -> int:
    if contest.state is None:
        print("The contest is not running here.")
        return 1
    fine = True
    for name, runs in contest.status().items():
        part = PARTS[name]
        where = "  ".join(f"{port} {LOOPBACK}:{contest.address(name, port)[1]}" for port in part.ports)
        fine &= runs
        print(f"{'up  ' if runs else 'DOWN'}  {name:<18} {part.shows}\n{'':<25}{where}")
    _show_faults(contest)
    return 0 if fine else 1


def _show_faults(contest: Native | Composed) -> None:
    for name in contest.faults:
        print(f"Fault: {name}. {BY_NAME[name].seen}")


def _show_next(run: Path, url: str, settings: Path) -> None:
    print(
        f"\nContestants go to {url}. To send them there:\n"
        f"  export OBSWARM_SIGNING_KEY=$(cat {run}/signing.key)\n"
        f"  obswarm run {HERE}/loadtest.py -H {url} --config {settings}"
    )


def _fault(contest: Native | Composed, name: str | None, switch: str) -> None:
    if name is None:
        for fault in FAULTS:
            state = "on " if fault.name in contest.faults else "off"
            print(f"{state}  {fault.name:<14} {fault.does}.\n{'':<20}{fault.seen}")
        return
    switch_fault(contest, BY_NAME[name], switch == "on")
    print(BY_NAME[name].seen if switch == "on" else f"{name} is off.")


def switch_fault(contest: Native | Composed, fault: Fault, on: bool) -> None:
    """Raise ContestError if another fault is on: the effects of two could not be distinguished."""
    active = contest.faults
    if on and active and active != [fault.name]:
        raise ContestError(f"{active[0]} is on; switch it off first (`fault {active[0]} off`).")
    if on == (fault.name in active):
        return
    (fault.on if on else fault.off)(contest)
    contest.note_faults([fault.name] if on else [])
