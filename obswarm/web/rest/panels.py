"""Panels that a load test adds to the page, as it would add them to Locust's: `template_args` of its `web_ui` describe
them, and what it adds to the response of /stats/requests has their rows."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from obswarm.sanitize import clean_text

_MOST = 50


class PanelColumn(Struct):
    key: str
    title: str


class Panel(Struct):
    key: str
    title: str
    columns: list[PanelColumn]


class PanelFile(Struct):
    href: str
    title: str


class Panels(Struct):
    panels: list[Panel]
    files: list[PanelFile]


def panels_of(template_args: Mapping[str, Any]) -> Panels:
    """Return the panels of `extended_tabs` and `extended_tables`, and the files of `extended_csv_files`. What is not as
    Locust describes it is left out; files are paths of this server."""
    titles = {_text(each, "key"): _text(each, "title") for each in _dicts(template_args.get("extended_tabs"))}
    tables = {_text(each, "key"): each.get("structure") for each in _dicts(template_args.get("extended_tables"))}
    panels = [
        Panel(
            key,
            titles.get(key) or key,
            [PanelColumn(_text(each, "key"), _text(each, "title")) for each in _dicts(structure)],
        )
        for key, structure in tables.items()
    ]
    files = [
        PanelFile(_text(each, "href"), _text(each, "title"))
        for each in _dicts(template_args.get("extended_csv_files"))
        # Two slashes, or one and a backslash, begin the address of another server.
        if _text(each, "href").startswith("/") and _text(each, "href")[1:2] not in ("/", "\\")
    ]
    return Panels([each for each in panels if each.columns], files)


def _dicts(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list | tuple):
        yield from (each for each in value[:_MOST] if isinstance(each, Mapping))


def _text(value: Mapping[str, Any], key: str) -> str:
    return clean_text(value.get(key) or "")
