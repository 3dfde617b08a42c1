"""Panels of a load test, as Locust describes them; whatever else it writes there does no harm."""

from typing import Any

import pytest

from obswarm.web.rest.panels import Panel, PanelColumn, PanelFile, Panels, panels_of

_STRUCTURE = [{"key": "name", "title": "Name"}, {"key": "size", "title": "Size \x1b[31m"}]


def test_tabs_and_tables_belong_together() -> None:
    found = panels_of(
        {
            "extended_tabs": [{"title": "Content length", "key": "length"}, {"title": "No table", "key": "none"}],
            "extended_tables": [
                {"key": "length", "structure": _STRUCTURE},
                {"key": "bare", "structure": _STRUCTURE[:1]},
            ],
            "extended_csv_files": [{"href": "/length/csv", "title": "Lengths"}],
        }
    )
    columns = [PanelColumn("name", "Name"), PanelColumn("size", "Size \\x1b[31m")]
    assert found == Panels(
        [Panel("length", "Content length", columns), Panel("bare", "bare", columns[:1])],
        [PanelFile("/length/csv", "Lengths")],
    )


@pytest.mark.parametrize(
    "href", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", None]
)
def test_files_are_those_of_this_server(href: Any) -> None:
    assert panels_of({"extended_csv_files": [{"href": href, "title": "x"}]}).files == []


@pytest.mark.parametrize("value", [None, 1, "text", [None, 1, "text", {}], {"key": 1}, [{"key": [], "structure": 5}]])
def test_what_is_not_as_described_is_left_out(value: Any) -> None:
    names = ("extended_tabs", "extended_tables", "extended_csv_files")
    assert panels_of(dict.fromkeys(names, value)) == Panels([], [])
