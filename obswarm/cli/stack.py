"""`obswarm down`, `status`, `logs` and `scale`, and what they share with `obswarm up`."""

import re
from collections.abc import Callable, Sequence

import click

from obswarm.app import exit_codes
from obswarm.cli.options import project_option
from obswarm.cli.tables import texts_table
from obswarm.cli.text_console import plain, stdout_console
from obswarm.config import MOST_WORKERS
from obswarm.stack import (
    DEFAULT_PROJECT,
    Compose,
    Engine,
    Project,
    Service,
    StackError,
    loopback_only,
    services_of,
    wait_until_healthy,
)
from obswarm.streams import echo
from obswarm.targets import Target
from obswarm.units import counted
from obswarm.web import MasterClient

HEALTHY_S = 180.0
_CONNECTED_S = 20.0
_STYLES = {"healthy": "green", "running": "green", "starting": "yellow", "created": "yellow", "restarting": "yellow"}
_EVERY_PROFILE = ("target", "fault", "exporters", "container-stats")


def wait_for_workers(project: Project) -> None:
    """Wait until all workers are connected to the master, so that the next run has them; not during a run."""
    if MasterClient(project.web_url, project.api_token, trust_env=False).wait_for_workers(
        project.workers, _CONNECTED_S
    ):
        return
    echo_aside(
        "Warning: not all workers are connected to the master yet; see: obswarm logs"
        f" worker{project_option_text(project)}"
    )


def echo_aside(text: str) -> None:
    """Print a line to standard error."""
    echo(text, err=True)


def show_progress(write: Callable[[str], None]) -> Callable[[Sequence[Service]], None]:
    """Return a function that writes a line for each service whose state has changed since its last call."""
    written: dict[tuple[str, int], str] = {}

    def show(services: Sequence[Service]) -> None:
        fine = sum(service.is_fine for service in services)
        for service in services:
            key = (service.name, service.number)
            if written.get(key) != service.shown:
                written[key] = service.shown
                write(f"  {service.numbered:<18} {service.shown}  ({fine} of {len(services)} ready)")

    return show


def warn_of_loopback(project: Project, targets: Sequence[Target]) -> None:
    """Warn of targets that listen only on the loopback address of this machine, which containers cannot reach."""
    for target in loopback_only(targets, project.gateway) if project.gateway is not None else ():
        echo(
            f"Warning: the target {target.name} listens only on this machine's loopback address, which containers"
            f" cannot reach. Let it also listen on {project.gateway}.",
            err=True,
        )


def project_option_text(project: Project) -> str:
    """Return the option --project for commands in messages, empty for the default project."""
    return "" if project.name == DEFAULT_PROJECT else f" --project {project.name}"


@click.command()
@click.option("-v", "--volumes", is_flag=True, help="Also remove the data of Prometheus, Grafana and the master.")
@project_option
def down(volumes: bool, project: str) -> None:
    """Stop the stack of `obswarm up`.

    Its containers and networks are removed; its data stays, unless --volumes is given.
    """
    found = Project.named(project)
    engine = Engine()
    if not found.exists and not engine.containers(project):
        echo(f"There is no stack {project} on this machine.", err=True)
        return
    Compose(found).run("down", "--remove-orphans", *(["--volumes"] if volumes else []), profiles=_EVERY_PROFILE)
    if volumes:
        found.forget()
    hint = "" if volumes else " Its data is still in its volumes; remove them with: obswarm down -v"
    echo(f"The stack {project} is down.{hint}", err=True)


@click.command()
@project_option
@click.pass_context
def status(ctx: click.Context, project: str) -> None:
    """Show the state of the stack's services.

    Exit code 1 if a service is not healthy, or there is no stack.
    """
    services = services_of(Engine(), project)
    if not services:
        echo(f"There is no stack {project} on this machine; start it with: obswarm up")
        ctx.exit(exit_codes.FAILURES)
    console = stdout_console()
    rows = []
    for service in services:
        ports = ", ".join(map(str, service.ports))
        image = service.container.attrs["Config"]["Image"]
        rows.append((service.numbered, plain(service.shown, _STYLES.get(service.shown, "bold red")), ports, image))
    console.print(texts_table(console.width, ("service", "state", "at 127.0.0.1", "image"), rows))
    ctx.exit(exit_codes.OK if all(service.is_fine for service in services) else exit_codes.FAILURES)


@click.command()
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines until Ctrl-C.")
@click.option(
    "-n", "--tail", metavar="LINES", default="all", show_default=True, help="Number of latest lines of each container."
)
@project_option
@click.pass_context
def logs(ctx: click.Context, services: tuple[str, ...], follow: bool, tail: str, project: str) -> None:
    """Print the logs of the stack's services.

    SERVICE limits them to one service; repeatable.
    """
    engine = Engine()
    known = {service.name for service in services_of(engine, project)}
    if not known:
        raise StackError(f"There is no stack {project} on this machine; start it with: obswarm up")
    for name in services:
        if name not in known:
            raise StackError(f"The stack {project} has no service {name}; it has {', '.join(sorted(known))}.")
    words = ["logs", "--tail", tail, *(["--follow"] if follow else []), *services]
    ctx.exit(Compose(Project.named(project)).follow(*words))


@click.command()
@click.argument("what", metavar="workers=N")
@project_option
def scale(what: str, project: str) -> None:
    """Change the number of worker containers.

    Example: obswarm scale workers=4
    """
    found = re.fullmatch(r"workers?=(\d+)", what)
    if found is None or not 1 <= int(found[1]) <= MOST_WORKERS:
        raise click.UsageError(f"{what!r}; write it like workers=4, with a number from 1 to {MOST_WORKERS}.")
    known, engine = Project.named(project), Engine()
    if not known.exists or not engine.containers(project):
        raise StackError(f"There is no stack {project} on this machine; start it with: obswarm up --workers {found[1]}")
    known.workers = int(found[1])
    known.save()
    Compose(known).run("up", "--detach", "--no-build", "--no-recreate", "worker")
    wait_until_healthy(engine, project, HEALTHY_S, show_progress(echo_aside))
    wait_for_workers(known)
    echo(f"The stack {project} has {counted(int(found[1]), 'worker')}.", err=True)
