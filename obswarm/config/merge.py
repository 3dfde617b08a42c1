"""Merge of a service's and a client's configuration to that of a run."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from obswarm.config.run_config import SETTINGS, RunConfig
from obswarm.config.setting import Origin, Scope, Source

_OF_SERVICE = (Source.ENVIRONMENT, Source.COMMAND_LINE)


def useless_settings(service: RunConfig) -> dict[str, str]:
    """Return the settings of a service's command line and environment that have no effect without another setting,
    which is not given, with the name of that setting."""
    return _useless(_own(service))


def for_client(service: RunConfig, client: RunConfig) -> RunConfig:
    """Return the configuration of a run that the client submits to the service.

    Settings of the service alone are taken from it, such as its addresses and the files of its command line. For other
    settings, the client's values take precedence over those of the service's command line and environment. Credentials
    of the service are not used for an address that the client has given, nor are settings that exclude one of the
    client's.
    """
    requested, own = _requested(client), _own(service)
    dropped = {*_useless(own, requested), *_excluded(client, requested)}
    for name in requested:
        dropped.update(_belonging(name))
    retained = {name: origin for name, origin in own.items() if name not in requested and name not in dropped}
    values, origins = {}, {}
    for name, each in SETTINGS.items():
        nearest = service.origin(name)
        if each.scope is Scope.SERVICE or (each.scope is Scope.LOCAL and nearest.source in _OF_SERVICE):
            values[name], origins[name] = service.value(name), nearest
        elif each.scope is Scope.LOCAL:
            # Outputs in the service's file do not apply to its runs.
            continue
        elif name in requested or not each.option:
            values[name] = client.value(name)
            origins[name] = client.origin(name)
        elif name in retained:
            values[name], origins[name] = service.value(name), retained[name]
    file = client.file if client.file.where or not service.file.named else service.file
    return RunConfig.of(
        values, {name: each for name, each in origins.items() if each.source is not Source.DEFAULT}, file
    )


def _requested(client: RunConfig) -> Mapping[str, Origin]:
    return {name: each for name, each in client.origins.items() if SETTINGS[name].travels}


def _own(service: RunConfig) -> Mapping[str, Origin]:
    """Return the settings of a service's command line and environment that a client can set, too."""
    return {
        name: each
        for name, each in service.origins.items()
        if each.source in _OF_SERVICE and SETTINGS[name].travels and SETTINGS[name].option
    }


def _useless(own: Mapping[str, Origin], requested: Mapping[str, Origin] = MappingProxyType({})) -> dict[str, str]:
    found = {name: SETTINGS[name].needs for name in own if SETTINGS[name].needs}
    return {name: needed for name, needed in found.items() if needed not in own and needed not in requested}


def _belonging(name: str) -> Iterator[str]:
    """Return the settings that belong to the value of this one, such as the credentials of an address."""
    own = SETTINGS[name]
    if own.secret:
        return
    for each in SETTINGS.values():
        if each.needs and each.needs in (name, own.needs if own.redirects else name):
            yield each.name


def _excluded(client: RunConfig, requested: Mapping[str, Origin]) -> Iterator[str]:
    for each in SETTINGS.values():
        for other in each.excludes:
            if _has_value(client, other, requested):
                yield each.name
            if _has_value(client, each.name, requested):
                yield other


def _has_value(client: RunConfig, name: str, requested: Mapping[str, Origin]) -> bool:
    return name in requested and client.value(name) not in (None, False, ())


def at_service(config: RunConfig, **values: object) -> RunConfig:
    """Return a copy with values that the service itself determines."""
    origins = {**config.origins, **{name: Origin(Source.COMMAND_LINE, SETTINGS[name].option) for name in values}}
    return replace(config.replaced(values), origins=origins)
