"""The files of the live page: what is served of them, and what they must not have."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from obswarm.web.page import page_file, page_names
from tests.support.programs import ROOT

PAGE = ROOT / "obswarm" / "web" / "page"


def test_files_have_types_and_tags() -> None:
    index = page_file("index.html")
    assert index is not None
    assert index.content_type == "text/html; charset=utf-8"
    assert index.content.startswith(b"<!doctype html>")
    tags = {file.etag for name in page_names() if (file := page_file(name)) is not None}
    assert len(tags) == len(page_names()) > 20
    assert all(re.fullmatch(r'"[0-9a-f]{20}"', tag) for tag in tags)


@pytest.mark.parametrize(
    "name", ["", "..", "__init__.py", "../__init__.py", "page.html.j2", "/etc/passwd", "INDEX.HTML"]
)
def test_nothing_else_is_served(name: str) -> None:
    assert page_file(name) is None


def test_all_that_the_files_refer_to_is_there() -> None:
    own = [Path(str(each)) for each in files("obswarm.web.page").iterdir() if each.name.endswith((".js", ".html"))]
    texts = {file.name: file.read_text(encoding="utf-8") for file in own}
    imported = {name for text in texts.values() for name in re.findall(r'from "\./([^"]+)"', text)}
    linked = set(re.findall(r'(?:href|src)="/static/([^"]+)"', texts["index.html"]))
    assert imported | linked <= page_names()
    assert imported | linked | {"index.html"} == page_names(), "no file is left over"


def test_nothing_is_inline_and_nothing_becomes_markup() -> None:
    """The policy of the page forbids the former; a grep is enough for the latter, as texts become nodes in one place."""
    index = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:|https?://", index) == []
    markup = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|srcdoc|setHTML"
    )
    shared = [ROOT / "obswarm" / "report" / "page" / name for name in ("charts.js", "page.js")]
    for file in [*PAGE.glob("*.js"), *shared]:
        assert markup.findall(file.read_text(encoding="utf-8")) == [], file.name
