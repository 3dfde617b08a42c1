"""`obswarm up`, `down`, `status`, `logs` and `scale`: Prometheus, Alertmanager, Grafana, a master and workers."""

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
from obswarm.streams import say
from obswarm.targets import Target
from obswarm.units import counted
from obswarm.web import MasterClient

HEALTHY_S = 180.0
_CONNECTED_S = 20.0
_STYLES = {"healthy": "green", "running": "green", "starting": "yellow", "created": "yellow", "restarting": "yellow"}
_EVERY_PROFILE = ("target", "fault", "exporters", "container-stats")


def wait_for_workers(project: Project) -> None:
    """Until the master has as many as there are to be, so that the next run has them all; not while there is a run."""
    if MasterClient(project.web_url, project.api_token, trust_env=False).wait_for_workers(
        project.workers, _CONNECTED_S
    ):
        return
    say_aside(
        f"Warning: not all workers are connected to the master yet; see: obswarm logs worker{project_words(project)}"
    )


def say_aside(text: str) -> None:
    say(text, err=True)


def show_progress(tell: Callable[[str], None]) -> Callable[[Sequence[Service]], None]:
    told: dict[tuple[str, int], str] = {}

    def show(services: Sequence[Service]) -> None:
        fine = sum(service.is_fine for service in services)
        for service in services:
            key = (service.name, service.number)
            if told.get(key) != service.shown:
                told[key] = service.shown
                tell(f"  {service.numbered:<18} {service.shown}  ({fine} of {len(services)} ready)")

    return show


def warn_of_loopback(project: Project, targets: Sequence[Target]) -> None:
    """Name targets that listen on the loopback of this machine, where containers do not reach them."""
    for target in loopback_only(targets, project.gateway) if project.gateway is not None else ():
        say(
            f"Warning: the target {target.name} listens on this machine's loopback alone, where containers do not reach"
            f" it. Let it listen at {project.gateway} as well.",
            err=True,
        )


def project_words(project: Project) -> str:
    """What has to be added to the commands that people copy."""
    return "" if project.name == DEFAULT_PROJECT else f" --project {project.name}"


@click.command()
@click.option("-v", "--volumes", is_flag=True, help="Also remove what Prometheus, Grafana and the master have kept.")
@project_option
def down(volumes: bool, project: str) -> None:
    """Stop the stack and remove its containers and networks."""
    found = Project.named(project)
    engine = Engine()
    if not found.exists and not engine.containers(project):
        say(f"There is no stack {project} here.", err=True)
        return
    Compose(found).run("down", "--remove-orphans", *(["--volumes"] if volumes else []), profiles=_EVERY_PROFILE)
    if volumes:
        found.forget()
    kept = "" if volumes else " What was measured is kept in its volumes; remove them with: obswarm down -v"
    say(f"The stack {project} is down.{kept}", err=True)


@click.command()
@project_option
@click.pass_context
def status(ctx: click.Context, project: str) -> None:
    """Show the state of the stack's services.

    Exit code 1 when one is not healthy, or there are none.
    """
    services = services_of(Engine(), project)
    if not services:
        say(f"There is no stack {project} here; start it with: obswarm up")
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
@click.option("-f", "--follow", is_flag=True, help="Keep showing new lines until Ctrl-C.")
@click.option(
    "-n", "--tail", metavar="LINES", default="all", show_default=True, help="Show only this many of the latest lines."
)
@project_option
@click.pass_context
def logs(ctx: click.Context, services: tuple[str, ...], follow: bool, tail: str, project: str) -> None:
    """Show the logs of the services."""
    engine = Engine()
    known = {service.name for service in services_of(engine, project)}
    if not known:
        raise StackError(f"There is no stack {project} here; start it with: obswarm up")
    for name in services:
        if name not in known:
            raise StackError(f"The stack {project} has no service {name}; it has {', '.join(sorted(known))}.")
    words = ["logs", "--tail", tail, *(["--follow"] if follow else []), *services]
    ctx.exit(Compose(Project.named(project)).follow(*words))


@click.command()
@click.argument("what", metavar="workers=N")
@project_option
def scale(what: str, project: str) -> None:
    """Change the number of worker containers."""
    found = re.fullmatch(r"workers?=(\d+)", what)
    if found is None or not 1 <= int(found[1]) <= MOST_WORKERS:
        raise click.UsageError(f"{what!r}; write it like workers=4, with a number from 1 to {MOST_WORKERS}.")
    known, engine = Project.named(project), Engine()
    if not known.exists or not engine.containers(project):
        raise StackError(f"There is no stack {project} here; start it with: obswarm up --workers {found[1]}")
    known.workers = int(found[1])
    known.save()
    Compose(known).run("up", "--detach", "--no-build", "--no-recreate", "worker")
    wait_until_healthy(engine, project, HEALTHY_S, show_progress(say_aside))
    wait_for_workers(known)
    say(f"The stack {project} has {counted(int(found[1]), 'worker')}.", err=True)
