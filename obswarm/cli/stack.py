"""`obswarm up`, `down`, `status`, `logs` and `scale`: Prometheus, Alertmanager, Grafana, a master and workers."""

import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from obswarm.api import ObswarmError
from obswarm.app import exit_codes
from obswarm.app.sources import make_target, table_targets
from obswarm.cli.options import Command, config_option, option, shared_option
from obswarm.cli.settings import SectionCommand, file_config_of
from obswarm.cli.tables import texts_table
from obswarm.cli.text_console import plain, stdout_console
from obswarm.config import MOST_WORKERS, FileConfig
from obswarm.engine import load
from obswarm.redact import redact_url
from obswarm.resources import shipped
from obswarm.stack import (
    DEFAULT_PROJECT,
    Compose,
    Engine,
    Project,
    Service,
    StackError,
    check_disk,
    check_failures,
    choose_ports,
    loopback_only,
    needed_images,
    services_of,
    wait_until_healthy,
    write_targets,
)
from obswarm.streams import say
from obswarm.targets import Target
from obswarm.units import counted
from obswarm.web import MasterClient

_HEALTHY_S = 180.0
_CONNECTED_S = 20.0
_STYLES = {"healthy": "green", "running": "green", "starting": "yellow", "created": "yellow", "restarting": "yellow"}
_EVERY_PROFILE = ("target", "fault", "exporters", "container-stats")


def project_option(command: Command) -> Command:
    """Adds --project."""
    named: Callable[[Command], Command] = shared_option(
        "--project",
        metavar="NAME",
        default=DEFAULT_PROJECT,
        show_default=True,
        help="Which stack; several can run side by side.",
    )
    return named(command)


@click.command(cls=SectionCommand)
@option("-f", "--loadtest", "file", metavar="FILE", help="A load test that `obswarm run` finds there; see below.")
@option(
    "--workers", type=click.IntRange(1, MOST_WORKERS), help="Containers that make load.  [default: as before, or 1]"
)
@option("--demo", is_flag=True, help="Also start a programming contest to be tested: HAProxy, uWSGI, MariaDB.")
@option("--exporters", is_flag=True, help="Also start exporters: a MySQL's, this machine's, its containers'.")
@option("--stats", is_flag=True, help="Also export what labelled containers use, without cAdvisor.")
@option(
    "--target",
    "targets",
    multiple=True,
    metavar="[NAME=]KIND=URL",
    help="A metrics endpoint for Prometheus to scrape, like db=mysql=http://127.0.0.1:9104/metrics; repeat it.",
)
@config_option
@option(
    "-e", "--env", "environment", multiple=True, metavar="NAME[=VALUE]", help="For load tests; repeat.", envvar=None
)
@option(
    "-d",
    "--detach",
    is_flag=True,
    envvar=None,
    help="Return when all is healthy, instead of showing logs until Ctrl-C.",
)
@click.option("--dry-run", is_flag=True, help="Look at what is there, and only say what would be done.")
@project_option
@click.pass_context
def up(ctx: click.Context, /, **options: Any) -> None:
    """Start Prometheus, Alertmanager, Grafana, a master and workers on this machine's Docker.

    FILE and its folder are mounted read-only; `obswarm run` with a load test from that folder, or without one, has it
    run there. Started again, up changes what has changed and leaves the rest alone.
    """
    project = Project.named(options["project"])
    engine = Engine()
    compose = Compose(project)
    check_disk(engine)
    targets = _targets(file_config_of(ctx), options["targets"])
    _configure(project, options)
    project.ports, project.gateway = choose_ports(project, engine), engine.gateway
    tell = _say_aside
    if options["dry_run"]:
        _show_plan(project, compose, engine, targets)
        return
    project.save()
    write_targets(project, targets, [shipped("compose") / "targets" / f"{name}.json" for name in project.profiles])
    needed_images(engine, compose.images().values(), project.image, tell)
    tell("Starting the services.")
    try:
        compose.run("up", "--detach", "--no-build", "--remove-orphans")
    except StackError as error:
        # Compose names the container that failed; why it did stands in its log.
        check_failures([each for each in services_of(engine, project.name) if each.container.name in str(error)])
        raise
    wait_until_healthy(engine, project.name, _HEALTHY_S, _progress(tell))
    _wait_for_workers(project)
    _warn_of_loopback(project, targets)
    _tell(project)
    if not options["detach"]:
        tell("")
        tell("What master and workers say follows; Ctrl-C stops all services, obswarm down removes them.")
        tell("")
        compose.follow("logs", "--follow", "--since", "1s", "master", "worker")
        tell("")
        tell("Stopping the services.")
        compose.run("stop")
        ctx.exit(exit_codes.INTERRUPTED)


def _wait_for_workers(project: Project) -> None:
    """Until the master has as many as there are to be, so that the next run has them all; not while there is a run."""
    if MasterClient(project.web_url, project.api_token, trust_env=False).wait_for_workers(
        project.workers, _CONNECTED_S
    ):
        return
    _say_aside(
        f"Warning: not all workers are connected to the master yet; see: obswarm logs worker{_project_option(project)}"
    )


def _configure(project: Project, options: dict[str, Any]) -> None:
    """What the command line says beyond what the project has been told before."""
    project.workers = options["workers"] or project.workers
    for name in ("demo", "exporters", "stats"):
        setattr(project, name, options[name] or getattr(project, name))
    if options["file"] is not None:
        file = Path(options["file"])
        if not file.is_file():
            raise ObswarmError(f"-f {file}: there is no such load-test file.")
        # What is wrong with it is better known before anything is started.
        load([file])
        _check_readable(file.resolve())
        project.loadtest = str(file.resolve())
    elif project.demo and project.loadtest is None:
        project.loadtest = str(shipped("examples") / "contest" / "loadtest.py")
    for text in options["environment"]:
        name, equals, value = text.partition("=")
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
            raise ObswarmError(f"-e {text}: write it like NAME=VALUE, or NAME for a variable of this shell.")
        if not equals and name not in os.environ:
            raise ObswarmError(f"-e {name}: there is no such variable in this shell.")
        project.environment[name] = value if equals else os.environ[name]


def _check_readable(file: Path) -> None:
    """Containers read it as a user of their own."""
    for path, bits in ((file, 0o004), (file.parent, 0o005)):
        if path.stat().st_mode & bits != bits:
            raise ObswarmError(
                f"-f {file}: {path} may be read by its owner alone, and containers run as another user. Allow it with:"
                f" chmod o+r{'x' if path.is_dir() else ''} {path}"
            )


def _targets(file: FileConfig, texts: Sequence[str]) -> list[Target]:
    targets = list(table_targets(file))
    for text in texts:
        left, equals, url = text.partition("=http")
        name, named, kind = left.rpartition("=")
        if not equals:
            raise ObswarmError(f"--target {text}: write it like db=mysql=http://127.0.0.1:9104/metrics.")
        targets.append(make_target(f"--target {text}: ", name if named else None, f"http{url}", kind))
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise ObswarmError(f"Two targets are called {name!r}; write --target NAME=KIND=URL with a name of its own.")
    return targets


def _say_aside(text: str) -> None:
    say(text, err=True)


def _progress(tell: Callable[[str], None]) -> Callable[[Sequence[Service]], None]:
    told: dict[tuple[str, int], str] = {}

    def show(services: Sequence[Service]) -> None:
        fine = sum(service.is_fine for service in services)
        for service in services:
            key = (service.name, service.number)
            if told.get(key) != service.shown:
                told[key] = service.shown
                tell(f"  {service.numbered:<18} {service.shown}  ({fine} of {len(services)} ready)")

    return show


def _warn_of_loopback(project: Project, targets: Sequence[Target]) -> None:
    for target in loopback_only(targets, project.gateway) if project.gateway is not None else ():
        say(
            f"Warning: the target {target.name} listens on this machine's loopback alone, where containers do not reach"
            f" it. Let it listen at {project.gateway} as well.",
            err=True,
        )


def _project_option(project: Project) -> str:
    """What has to be added to the commands that people copy."""
    return "" if project.name == DEFAULT_PROJECT else f" --project {project.name}"


def _tell(project: Project) -> None:
    """Addresses, how to log in, what to run next."""
    rows = [
        ("Grafana", project.url("grafana"), f"user admin, password {project.grafana_password}"),
        ("Prometheus", project.url("prometheus"), ""),
        ("Alertmanager", project.url("alertmanager"), ""),
        ("Master", project.web_url, f"its metrics at {project.web_url}/metrics"),
    ]
    if project.demo:
        rows.append(("Contest", f"http://127.0.0.1:{project.ports['contest_load_balancer_http']}", "to be tested"))
    say("")
    for name, url, text in rows:
        say(f"  {name:<13} {url:<24} {text}".rstrip())
    where = _project_option(project)
    file = "" if project.loadtest else " loadtest.py"
    say("")
    say(f"Next: obswarm run{file}{where}    In the end: obswarm down{where}")


def _show_plan(project: Project, compose: Compose, engine: Engine, targets: Sequence[Target]) -> None:
    say(f"Docker Engine {engine.version}, Compose {compose.version}. Nothing is started; this would be:")
    say(f"  project   {project.name}, kept in {project.folder}")
    say(f"  workers   {project.workers}")
    say(f"  load test {project.loadtest or 'none is mounted'}")
    say(f"  profiles  {', '.join(project.profiles) or 'none'}")
    for target in targets:
        say(f"  target    {target.name} ({target.kind}) at {redact_url(target.url)}")
    for name, port in project.ports.items():
        say(f"  port      127.0.0.1:{port} for {name.replace('_', ' ')}")
    for image in sorted(set(compose.images().values())):
        build = image in (project.image, "obswarm-contest:latest")
        say(f"  image     {image}: {'here' if engine.has_image(image) else 'to be built' if build else 'to be pulled'}")
    say(f"  command   {shlex.join(compose.command('up', '--detach', '--no-build', '--remove-orphans'))}")


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
    """Show what the stack's services do.

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
@click.option("-f", "--follow", is_flag=True, help="Go on with what they will say.")
@click.option("-n", "--tail", metavar="LINES", default="all", show_default=True, help="Only the last ones.")
@project_option
@click.pass_context
def logs(ctx: click.Context, services: tuple[str, ...], follow: bool, tail: str, project: str) -> None:
    """Show what the services have said."""
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
    """Have another number of workers."""
    found = re.fullmatch(r"workers?=(\d+)", what)
    if found is None or not 1 <= int(found[1]) <= MOST_WORKERS:
        raise click.UsageError(f"{what!r}; write it like workers=4, with a number from 1 to {MOST_WORKERS}.")
    known, engine = Project.named(project), Engine()
    if not known.exists or not engine.containers(project):
        raise StackError(f"There is no stack {project} here; start it with: obswarm up --workers {found[1]}")
    known.workers = int(found[1])
    known.save()
    Compose(known).run("up", "--detach", "--no-build", "--no-recreate", "worker")
    wait_until_healthy(engine, project, _HEALTHY_S, _progress(_say_aside))
    _wait_for_workers(known)
    say(f"The stack {project} has {counted(int(found[1]), 'worker')}.", err=True)
