"""The files of the live page: ES modules, CSS and one static HTML file. They contain nothing of a run."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_OF_REPORTS = {
    "base.css": ("base.css",),
    "dark.css": ("dark.css",),
    "charts.js": ("charts.js",),
    "uplot.css": ("uplot", "uplot.css"),
    "uplot.js": ("uplot", "uplot.js"),
}
"""Files that the page shares with reports, by name, with their places in obswarm/report/page."""

# The package itself is not imported: it needs what a server of a page does not.
_REPORT_PAGE = files("obswarm").joinpath("report", "page")


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page; `etag` is a quoted, strong entity tag."""

    content: bytes
    content_type: str
    etag: str


@cache
def page_names() -> frozenset[str]:
    """Return the names of all files of the page."""
    own = {each.name for each in files(__name__).iterdir() if _suffix(each.name) in _CONTENT_TYPES}
    return frozenset(own | _OF_REPORTS.keys())


@cache
def page_file(name: str) -> PageFile | None:
    """Return the file of that name, None if the page has none. `index.html` is the page itself.

    Raises FileNotFoundError if the charts' library is missing from this installation.
    """
    if name not in page_names():
        return None
    if name in _OF_REPORTS:
        content = _REPORT_PAGE.joinpath(*_OF_REPORTS[name]).read_bytes()
    else:
        content = files(__name__).joinpath(name).read_bytes()
    return PageFile(content, _CONTENT_TYPES[_suffix(name)], f'"{hashlib.sha256(content).hexdigest()[:20]}"')


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
