"""Render templates to self-contained HTML pages, with CSS, JavaScript and the chart library inlined."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from obswarm.api import ObswarmError
from obswarm.json_text import to_json
from obswarm.sanitize import escape_lines

_HERE = files("obswarm.report.page")


def render(name: str, **values: Any) -> str:
    """Render a template. Raises ObswarmError if the chart library is missing from this installation."""
    try:
        uplot = {f"uplot_{kind}": _read("uplot", f"uplot.{kind}") for kind in ("js", "css")}
    except FileNotFoundError:
        raise ObswarmError("This installation of obswarm lacks the chart library; reinstall it with pip.") from None
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_text,
    )
    template = environment.get_template(name)
    return template.render(
        base_css=_read("base.css"),
        dark_css=_read("dark.css"),
        css=_read("page.css"),
        charts_js=_read("charts.js"),
        js=_read("page.js"),
        **uplot,
        **values,
    )


def _read(*names: str) -> str:
    return _HERE.joinpath(*names).read_text(encoding="utf-8")


def _text(value: Any) -> Any:
    """Escape control characters of a value before autoescaping; inlined CSS, JavaScript and data are Markup."""
    return escape_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def embedded(document: Any) -> str:
    """Serialize to JSON that cannot end the script element around it
    (https://html.spec.whatwg.org/#restrictions-for-contents-of-script-elements)."""
    return to_json(document, compact=True).replace("<", "\\u003c")
