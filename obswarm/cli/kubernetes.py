"""`obswarm k8s`: a master and workers on Kubernetes."""

import re
from pathlib import Path
from typing import Any

import click

from obswarm.kubernetes import Release, as_yaml, make_objects, read_values
from obswarm.streams import echo_lines

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?")


class DnsLabel(click.types.StringParamType):
    """A name of an object: a DNS label, and short enough for what is appended to it."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _NAME.fullmatch(value):
            self.fail(f"{value!r} is no name of an object: up to 42 lower-case letters, digits and '-'.", param, ctx)
        return str(value)


@click.group("k8s")
def k8s() -> None:
    """Run a master and workers on Kubernetes, without Helm.

    The objects are those of the Helm chart charts/obswarm, made from the same values.
    """


@k8s.command("render")
@click.argument("name", type=DnsLabel(), default="obswarm")
@click.option(
    "-n", "--namespace", type=DnsLabel(), default="default", show_default=True, help="Namespace of the objects."
)
@click.option(
    "-f",
    "--values",
    "files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="YAML file with values, as for `helm install`; repeatable, later ones override earlier ones.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="PATH=VALUE",
    help="One value, in YAML, e.g. workers.replicas=20; repeatable.",
)
def render(name: str, namespace: str, files: tuple[Path, ...], settings: tuple[str, ...]) -> None:
    """Print the objects of a release as YAML, for `kubectl apply -f -`.

    NAME is the name of the release (default: obswarm). Secrets are new ones each time, unless the values name a Secret
    or give them.
    """
    echo_lines(as_yaml(make_objects(Release(name, namespace, read_values(files, settings)))).rstrip("\n"))
