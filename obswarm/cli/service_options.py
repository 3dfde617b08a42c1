"""What the options of a master that stays are for the runs that it makes: how far they stand beside a client's."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import click

from obswarm.cli.access import parameters_of
from obswarm.cli.file_option import options_of
from obswarm.cli.run_options import REMOTE_WRITE
from obswarm.cli.sources import PROMETHEUS


class _Receiver(NamedTuple):
    """Somebody who is sent something. `places` are options that say where it goes, the URL first; `belonging` those
    that say nothing without the URL, and how to be let in."""

    places: tuple[str, ...]
    belonging: tuple[str, ...]


_RECEIVERS = (
    _Receiver(("prometheus_url", f"{PROMETHEUS}_proxy"), tuple(parameters_of(PROMETHEUS))),
    _Receiver(
        ("remote_write", "remote_write_proxy"),
        (*parameters_of(REMOTE_WRITE), "remote_write_instance"),
    ),
    _Receiver(("grafana_url",), ("grafana_token",)),
)


_NEEDS = {
    **{name: receiver.places[0] for receiver in _RECEIVERS for name in receiver.belonging},
    "grafana_url": "grafana_token",
    "earlier_alerts_max_wait": "earlier_alerts",
}
"""Options by name, with the one that each says nothing without."""


def useless_options(own: Mapping[str, Any], asked: Mapping[str, Any] = MappingProxyType({})) -> dict[str, str]:
    """The master's that say nothing beside the `asked` ones of a run, with the option that each of them needs."""
    return {name: _NEEDS[name] for name in own if name in _NEEDS and not {_NEEDS[name]} & {*own, *asked}}


def options_beside(command: click.Command, own: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The master's options that hold for a run with the options `asked` by its client. Without credentials where the
    client has named an address, as the master's own are not for it; without what the client's exclude, and without
    what cannot be used."""
    dropped = set(useless_options(own, asked))
    for receiver in _RECEIVERS:
        if any(place in asked for place in receiver.places):
            dropped.update(receiver.belonging)
    if "earlier_alerts" in asked:
        dropped.add("earlier_alerts_max_wait")
    dropped.update(_excluded(command, own, asked))
    return {name: value for name, value in own.items() if name not in dropped}


def _excluded(command: click.Command, own: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterable[str]:
    """Those of the master that exclude one that the client has said."""
    for option in options_of(command):
        name = str(option.name)
        for other in option.excludes:
            if name in own and asked.get(other) not in (None, False):
                yield name
            if other in own and asked.get(name) not in (None, False):
                yield other
