"""docs/llms.txt, the list of pages for assistants, is complete."""

import re

from tests.support.programs import ROOT


def test_it_lists_every_page_of_the_documentation() -> None:
    text = (ROOT / "docs" / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# obswarm\n\n> ")
    links = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): \S", text, re.MULTILINE)
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert set(links) - pages == set(), "links to pages that are not there"
    assert pages - set(links) == set(), "pages without a line in docs/llms.txt"
