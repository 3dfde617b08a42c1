"""`obswarm up`: start Prometheus, Alertmanager, Grafana, a master and workers in this machine's Docker."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from obswarm.api import ObswarmError
from obswarm.app import exit_codes
from obswarm.app.sources import make_target, table_targets
from obswarm.cli.options import config_option, option, project_option
from obswarm.cli.settings import SectionCommand, file_config_of
from obswarm.cli.stack import (
    HEALTHY_S,
    echo_aside,
    project_option_text,
    show_progress,
    wait_for_workers,
    warn_of_loopback,
)
from obswarm.config import MOST_WORKERS, FileConfig
from obswarm.engine import load
from obswarm.redact import redact_url
from obswarm.resources import shipped
from obswarm.stack import (
    Compose,
    Engine,
    Project,
    StackError,
    check_disk,
    check_failures,
    check_readable,
    choose_ports,
    needed_images,
    services_of,
    wait_until_healthy,
    write_targets,
)
from obswarm.streams import echo
from obswarm.targets import Target


@click.command(cls=SectionCommand)
@option("-f", "--loadtest", "file", metavar="FILE", help="Load-test file that `obswarm run` uses by default.")
@option(
    "--workers", type=click.IntRange(1, MOST_WORKERS), help="Number of worker containers.  [default: unchanged, or 1]"
)
@option("--demo", is_flag=True, help="Also start a target: a programming contest site on HAProxy, uWSGI and MariaDB.")
@option("--exporters", is_flag=True, help="Also start exporters for MySQL, this machine and its containers (cAdvisor).")
@option("--stats", is_flag=True, help="Also export the resource usage of labelled containers, without cAdvisor.")
@option(
    "--target",
    "targets",
    multiple=True,
    metavar="[NAME=]KIND=URL",
    help="Metrics endpoint for Prometheus to scrape, e.g. db=mysql=http://127.0.0.1:9104/metrics; repeatable.",
)
@config_option
@option(
    "-e",
    "--env",
    "environment",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Environment variable for load tests; without =VALUE, the value is the one of this shell; repeatable.",
    envvar=None,
)
@option(
    "-d",
    "--detach",
    is_flag=True,
    envvar=None,
    help="Return when all services are healthy, instead of showing logs until Ctrl-C.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be started, and start nothing.")
@project_option
@click.pass_context
def up(ctx: click.Context, /, **options: Any) -> None:
    """Start a stack: master, workers and Grafana in Docker.

    The stack also has Prometheus, which records the metrics, and Alertmanager, which sends alerts to the master.
    The folder of FILE is mounted read-only in the containers of master and workers. While the stack is running,
    `obswarm run` sends its runs to its master. Repeat the command with other options to change a running stack; what
    they do not change keeps running.
    """
    project = Project.named(options["project"])
    engine = Engine()
    compose = Compose(project)
    check_disk(engine)
    targets = _targets(file_config_of(ctx), options["targets"])
    _configure(project, options)
    project.ports, project.gateway = choose_ports(project, engine), engine.gateway
    if options["dry_run"]:
        _show_plan(project, compose, engine, targets)
        return
    project.save()
    write_targets(project, targets, [shipped("compose") / "targets" / f"{name}.json" for name in project.profiles])
    needed_images(engine, compose.images().values(), project.image, echo_aside)
    echo_aside("Starting the services.")
    try:
        compose.run("up", "--detach", "--no-build", "--remove-orphans")
    except StackError as error:
        # Compose names the container that failed; the cause is in its log.
        check_failures([each for each in services_of(engine, project.name) if each.container.name in str(error)])
        raise
    wait_until_healthy(engine, project.name, HEALTHY_S, show_progress(echo_aside))
    wait_for_workers(project)
    warn_of_loopback(project, targets)
    _print_addresses(project)
    if not options["detach"]:
        echo_aside("")
        echo_aside("Logs of master and workers follow; Ctrl-C stops all services, obswarm down removes them.")
        echo_aside("")
        compose.follow("logs", "--follow", "--since", "1s", "master", "worker")
        echo_aside("")
        echo_aside("Stopping the services.")
        compose.run("stop")
        ctx.exit(exit_codes.INTERRUPTED)


def _configure(project: Project, options: dict[str, Any]) -> None:
    """Update the stored settings of the project with the options of this command line. Raises ObswarmError."""
    project.workers = options["workers"] or project.workers
    for name in ("demo", "exporters", "stats"):
        setattr(project, name, options[name] or getattr(project, name))
    if options["file"] is not None:
        file = Path(options["file"])
        if not file.is_file():
            raise ObswarmError(f"-f {file}: no such load-test file.")
        # Errors in it are reported before anything is started.
        load([file])
        check_readable(file.resolve())
        project.loadtest = str(file.resolve())
    elif project.demo and project.loadtest is None:
        project.loadtest = str(shipped("examples") / "contest" / "loadtest.py")
    for text in options["environment"]:
        name, equals, value = text.partition("=")
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
            raise ObswarmError(f"-e {text}: write it like NAME=VALUE, or NAME for a variable of this shell.")
        if not equals and name not in os.environ:
            raise ObswarmError(f"-e {name}: no such variable in this shell; write {name}=VALUE.")
        project.environment[name] = value if equals else os.environ[name]


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
            raise ObswarmError(f"Two targets have the name {name!r}; write --target NAME=KIND=URL with distinct names.")
    return targets


def _print_addresses(project: Project) -> None:
    """Print URLs, Grafana's credentials, and the next command."""
    rows = [
        ("Grafana", project.url("grafana"), f"user admin, password {project.grafana_password}"),
        ("Prometheus", project.url("prometheus"), ""),
        ("Alertmanager", project.url("alertmanager"), ""),
        ("Page", project.web_url, f"to log in: {project.web_url}/#token={project.api_token}"),
        ("Metrics", f"{project.web_url}/metrics", "of the master"),
    ]
    if project.demo:
        rows.append(("Contest", f"http://127.0.0.1:{project.ports['contest_load_balancer_http']}", "the demo's target"))
    echo("")
    for name, url, text in rows:
        echo(f"  {name:<13} {url:<24} {text}".rstrip())
    suffix = project_option_text(project)
    file = "" if project.loadtest else " loadtest.py"
    echo("")
    echo(f"Next: obswarm run{file}{suffix}    To stop: obswarm down{suffix}")


def _show_plan(project: Project, compose: Compose, engine: Engine, targets: Sequence[Target]) -> None:
    echo(f"Docker Engine {engine.version}, Compose {compose.version}. Dry run, nothing is started:")
    echo(f"  project   {project.name}, stored in {project.folder}")
    echo(f"  workers   {project.workers}")
    echo(f"  load test {project.loadtest or 'none'}")
    echo(f"  profiles  {', '.join(project.profiles) or 'none'}")
    for target in targets:
        echo(f"  target    {target.name} ({target.kind}) at {redact_url(target.url)}")
    for name, port in project.ports.items():
        echo(f"  port      127.0.0.1:{port} for {name.replace('_', ' ')}")
    for image in sorted(set(compose.images().values())):
        build = image in (project.image, "obswarm-contest:latest")
        state = "present" if engine.has_image(image) else "to be built" if build else "to be pulled"
        echo(f"  image     {image}: {state}")
    echo(f"  command   {shlex.join(compose.command('up', '--detach', '--no-build', '--remove-orphans'))}")
