"""Every place in the package that shows or writes text goes through the shared modules, or is known and has a reason.

Found by reading the source, so that a new place is noticed: send it through obswarm/streams.py (lines on standard
streams), obswarm/cli/text_console.py (rich), obswarm/log_format.py (logging), obswarm/json_text.py (JSON) or the module
of its format, or say below why what it writes cannot be somebody else's text.
"""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import obswarm
from obswarm.syntax import parse

PACKAGE = Path(obswarm.__file__).parent

WAYS_OUT = (
    *("print", "warnings.warn", "click.echo", "click.secho", "click.style", "click.confirm", "click.prompt"),
    *("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"),
    *("traceback.print_exc", "traceback.print_exception", "traceback.print_stack"),
    *("rich.print", "rich.print_json", "rich.inspect", "rich.get_console"),
    *("rich.console.Console", "rich.text.Text", "rich.table.Table", "rich.panel.Panel", "rich.markup.render"),
    *("rich.logging.RichHandler", "rich.rule.Rule", "rich.tree.Tree", "rich.columns.Columns", "rich.markdown.Markdown"),
    *("logging.basicConfig", "logging.Formatter", "logging.Handler", "logging.StreamHandler", "logging.FileHandler"),
    *("logging.handlers.RotatingFileHandler", "logging.handlers.SysLogHandler"),
    *("csv.writer", "csv.DictWriter"),
    *(f"xml.etree.ElementTree.{name}" for name in ("Element", "SubElement", "ElementTree", "tostring")),
    *("json.dump", "json.dumps", "json.JSONEncoder"),
    *("jinja2.Environment", "jinja2.Template", "markupsafe.Markup"),
)
"""Ways for a text to leave the process, by their full names."""

KNOWN = {
    # The shared modules.
    ("streams.py", "sys.stdout"): "echo",
    ("streams.py", "sys.stderr"): "echo",
    ("streams.py", "logging.FileHandler"): "formats with LogFormatter",
    ("streams.py", "logging.StreamHandler"): "formats with LogFormatter",
    ("cli/text_console.py", "rich.console.Console"): "TextConsole",
    ("cli/text_console.py", "rich.text.Text"): "plain",
    ("cli/tables.py", "rich.text.Text"): "only looked for",
    ("cli/text_console.py", "rich.table.Table"): "TextTable",
    ("cli/text_console.py", "rich.panel.Panel"): "panel",
    ("cli/text_console.py", "rich.logging.RichHandler"): "formats with LogFormatter",
    ("cli/text_console.py", "sys.stdout"): "a console's stream",
    ("cli/tracebacks.py", "sys.stderr"): "escapes tracebacks",
    ("cli/tracebacks.py", "traceback.print_exception"): "escapes tracebacks",
    ("log_format.py", "logging.Formatter"): "LogFormatter",
    ("log_format.py", "logging.StreamHandler"): "formats with LogFormatter",
    ("log_format.py", "sys.stderr"): "formats with LogFormatter",
    ("json_text.py", "json.dumps"): "to_json",
    ("csv_text.py", "csv.writer"): "CsvRows",
    ("kubernetes/workloads.py", "json.dumps"): "only hashed",
    ("report/junit.py", "xml.etree.ElementTree.Element"): "_element",
    ("report/junit.py", "xml.etree.ElementTree.SubElement"): "_element",
    ("report/junit.py", "xml.etree.ElementTree.tostring"): "made of _element",
    ("report/page/template.py", "jinja2.Environment"): "escapes what it writes out",
    ("report/page/template.py", "markupsafe.Markup"): "only looked for",
    # Others.
    ("locust/html.py", "jinja2.Environment"): "escapes what it writes out",
    ("engine/otlp.py", "logging.Handler"): "keeps the last message of OpenTelemetry's exporters, redacted",
    ("locust/log.py", "logging.Handler"): "keeps lines for the load test",
    ("locust/main.py", "sys.stdout"): "nothing is written",
    ("locust/main.py", "sys.stderr"): "nothing is written",
    ("command_line.py", "json.dumps"): "for a process of the same command, in its environment",
    ("cli/runs.py", "click.confirm"): "escaped",
    ("cli/process.py", "sys.stdout"): "nothing is written",
    ("cluster/reexec.py", "sys.stdout"): "nothing is written",
    ("cluster/reexec.py", "sys.stderr"): "nothing is written",
    ("demo/site.py", "json.dumps"): "the demo's own answers",
    ("http/body.py", "json.dumps"): "what a load test sends to its target",
    ("demo/target.py", "json.dumps"): "the demo's own address",
    ("demo/target.py", "print"): "the demo's own address",
    ("demo/target.py", "sys.stderr"): "the demo's own server",
    ("guards/alert_payload.py", "json.dumps"): "hashed",
    ("stack/project.py", "json.dumps"): "of this machine's user, read by obswarm and Compose",
    ("stack/target_files.py", "json.dumps"): "of this machine's user, read by Prometheus",
    ("store/pack.py", "json.dumps"): "escaped, read by obswarm",
    ("api/debug.py", "print"): "escapes each line",
    ("api/debug.py", "sys.stderr"): "escapes each line",
    ("api/debug.py", "logging.basicConfig"): "with a handler of log_format",
    ("feeds/rows.py", "json.dumps"): "values as they are, read by obswarm",
    ("cli/find_limit.py", "sys.stdout"): "handed to a console",
    ("cli/find_limit.py", "sys.stderr"): "handed to a console",
    ("cli/terminal.py", "sys.stdout"): "handed to a console",
    ("cli/terminal.py", "sys.stderr"): "handed to a console, or to PlainProgress",
    ("streams.py", "logging.basicConfig"): "with one of its handlers, or of text_console",
    ("cli/worker_process.py", "logging.basicConfig"): "ASCII for the parent, which formats it",
    ("cli/worker_process.py", "logging.StreamHandler"): "ASCII for the parent, which formats it",
    ("cli/worker_process.py", "sys.stderr"): "ASCII for the parent, which formats it",
    ("cluster/processes.py", "logging.Formatter"): "ASCII for the parent, which formats it",
    ("cluster/processes.py", "json.dumps"): "ASCII for the parent, which formats it",
    ("web/rest/live.py", "logging.Handler"): "JSON of redacted texts, which the page escapes",
    ("web/runs.py", "logging.Handler"): "MessagePack for a client, which formats it",
    ("cluster/processes.py", "sys.stdout"): "what a load test prints is its own",
    ("cluster/processes.py", "sys.stderr"): "what a load test prints is its own",
}


def full_names(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def name_of(node: ast.expr, names: dict[str, str]) -> str:
    """`logging.Formatter` for that attribute, whatever it was imported as; nothing for what is no name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = name_of(node.value, names)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def ways_out(text: str) -> set[str]:
    """Those of WAYS_OUT that a module calls, subclasses or refers to, but for hints of types."""
    tree = parse(text)
    names = full_names(tree)
    hints = {
        id(part)
        for node in ast.walk(tree)
        for hint in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if isinstance(hint, ast.expr)
        for part in ast.walk(hint)
    }
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute) and id(node) not in hints]
    return {name_of(node, names) for node in nodes} & set(WAYS_OUT)


def test_texts_leave_by_known_places_only() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in ways_out(path.read_text())
    }
    new = sorted(found - KNOWN.keys())
    assert not new, f"new places that show or write text; see the top of this file: {new}"
    gone = sorted(KNOWN.keys() - found)
    assert not gone, f"these are no longer there: {gone}"


def without_encoding(text: str) -> list[int]:
    """Lines that read or write text in the encoding of whatever locale there is."""
    found = []
    for node in ast.walk(parse(text)):
        if not isinstance(node, ast.Call) or "encoding" in {word.arg for word in node.keywords}:
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        modes = [
            part.value
            for part in [*node.args[:2], *(word.value for word in node.keywords)]
            if isinstance(part, ast.Constant)
        ]
        is_open = isinstance(node.func, ast.Name) and name == "open" and not any("b" in str(mode) for mode in modes)
        as_text = any(word.arg in ("text", "universal_newlines") for word in node.keywords)
        # A distribution's read_text takes the name of a file.
        if is_open or (name == "read_text" and not node.args) or name == "write_text" or as_text:
            found.append(node.lineno)
    return found


def test_text_is_read_and_written_as_utf_8_whatever_the_locale() -> None:
    found = {path.relative_to(PACKAGE).as_posix(): without_encoding(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert {path: lines for path, lines in found.items() if lines} == {}
    examples = "open(p)", "open(p, 'w')", "p.read_text()", "p.write_text(x)", "subprocess.run(c, text=True)"
    assert [without_encoding(example) for example in examples] == [[1]] * 5
    assert without_encoding("open(p, 'rb'); open(p, encoding='utf-8'); os.open(p, 1)") == []


def test_a_new_place_would_be_noticed() -> None:
    text = """
import csv as table, sys
import xml.etree.ElementTree as Tree
from json import dumps
from rich.text import Text
def f(x: sys.stdout) -> Text:
    print(Text(x), dumps(x))
    table.writer(sys.stderr)
    Tree.SubElement(Tree.Element("a"), "b")
"""
    assert sorted(ways_out(text)) == [
        "csv.writer",
        "json.dumps",
        "print",
        "rich.text.Text",
        "sys.stderr",
        "xml.etree.ElementTree.Element",
        "xml.etree.ElementTree.SubElement",
    ]


_SECONDS = re.compile(r"%[.0-9]*[fgds] ?(s|seconds|ms|minutes|hours)\b|\d s\b")


def hand_made_durations(tree: ast.Module) -> Iterator[int]:
    """Yield the lines with a text in which a number is followed by a unit of time, unless it is a docstring."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        texts: list[str] = []
        if isinstance(node, ast.JoinedStr):
            texts = [
                f"%d{text.value}"
                for value, text in pairwise(node.values)
                if isinstance(text, ast.Constant) and isinstance(value, ast.FormattedValue) and _is_number(value, text)
            ]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            texts = [node.value]
        if any(map(_SECONDS.search, texts)):
            yield node.lineno


def _is_number(value: ast.FormattedValue, text: ast.Constant) -> bool:
    is_named = "_s" in ast.unparse(value.value).lower()
    return value.format_spec is not None or is_named or str(text.value).startswith(" s")


def test_durations_are_formatted_in_one_place() -> None:
    found = {
        f"{file.relative_to(PACKAGE)}:{line}"
        for file in PACKAGE.rglob("*.py")
        if file != PACKAGE / "units.py"
        for line in hand_made_durations(parse(file.read_text(encoding="utf-8")))
    }
    assert found == set(), "use format_duration, format_limit, format_tenths or format_latency of obswarm/units.py"


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ('f"within {limit_s:g} s"', True),
        ('f"for {limit_s:.0f}s"', True),
        ('f"{ms:.0f} ms"', True),
        ('logger.info("after %.0f s", limit_s)', True),
        ('f"within {format_limit(limit_s)}"', False),
        ('text = "at most 10 s"', True),
        ('"""At most 10 s."""', False),
        ('f"{count:,} samples"', False),
        ('f"{format_rate(rate)}/s"', False),
        ('logger.info("%s stopped", name)', False),
    ],
)
def test_durations_that_are_formatted_elsewhere_are_found(line: str, is_found: bool) -> None:
    assert bool(list(hand_made_durations(parse(line)))) is is_found
