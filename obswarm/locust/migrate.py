"""Rewrites a locustfile's imports, and its names from before version 1 of Locust, to obswarm's own names."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import obswarm
from obswarm.api import ObswarmError
from obswarm.syntax import parse

_LOCUST = "locust"
_ELSEWHERE = {
    ("locust", "Events"): ("obswarm.api", "Events"),
    ("locust.clients", "HttpSession"): ("", ""),
    ("locust.clients", "ResponseContextManager"): ("obswarm.http", "CountedResponse"),
    ("locust.contrib.fasthttp", "FastHttpSession"): ("", ""),
    ("locust.contrib.fasthttp", "FastResponse"): ("obswarm.http", "FastResponse"),
    ("locust.contrib.fasthttp", "ResponseContextManager"): ("obswarm.http", "FastResponse"),
    ("locust.contrib.fasthttp", "RestResponseContextManager"): ("obswarm.http", "FastResponse"),
    ("locust.env", "Environment"): ("obswarm.api", "Environment"),
    ("locust.event", "EventHook"): ("obswarm.api", "EventHook"),
    ("locust.event", "Events"): ("obswarm.api", "Events"),
}
"""Module and name in obswarm of names that are not in obswarm itself; empty: it stays, since its arguments differ."""

_OLD_CLASSES = {"Locust": "User", "HttpLocust": "HttpUser", "FastHttpLocust": "FastHttpUser"}
_LONGEST_LINE = 100


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Migration:
    """The text of a migrated file. `stays` has a sentence for each import of Locust's that stays, with its line."""

    text: str
    stays: tuple[str, ...]


def migrate(text: str, file: str = "locustfile.py") -> Migration:
    """Return a locustfile with obswarm's names. What has no other name stays as it is: obswarm has it under Locust's.

    Raises ObswarmError for a file that is not Python.
    """
    try:
        tree = parse(text, file)
    except (SyntaxError, ValueError) as error:
        raise ObswarmError(f"{file} is not Python: {error}.") from None
    return _Migrator(text, tree).migrated()


class _Migrator:
    def __init__(self, text: str, tree: ast.Module) -> None:
        self._text = text
        self._tree = tree
        # Columns of the syntax tree count bytes of UTF-8.
        self._bytes = text.encode()
        self._line_starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))
        self._edits: list[_Edit] = []
        self._stays: list[str] = []
        self._needs_between = False

    def migrated(self) -> Migration:
        imports = [node for node in ast.walk(self._tree) if isinstance(node, ast.ImportFrom | ast.Import)]
        old = self._old_names(imports)
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ClassDef):
                self._edit_class(node, old)
        has_between = any(alias.name == "between" for node in imports for alias in node.names)
        for node in imports:
            if isinstance(node, ast.ImportFrom) and not node.level and _is_locust(node.module):
                add = self._needs_between and not has_between
                has_between = has_between or add
                self._edit_import(node, add)
            elif isinstance(node, ast.Import) and any(_is_locust(alias.name) for alias in node.names):
                self._stays.append(f"line {node.lineno}: `{ast.unparse(node)}`, since its names are used by it")
        content = self._bytes
        for edit in sorted(self._edits, key=lambda each: each.start, reverse=True):
            content = content[: edit.start] + edit.text.encode() + content[edit.end :]
        return Migration(content.decode(), tuple(self._stays))

    def _old_names(self, imports: list[ast.ImportFrom | ast.Import]) -> dict[str, str]:
        """User classes from before version 1 by the names that the file has for them, with what they are called now."""
        return {
            alias.asname or alias.name: _OLD_CLASSES[alias.name]
            for node in imports
            if isinstance(node, ast.ImportFrom) and _is_locust(node.module)
            for alias in node.names
            if alias.name in _OLD_CLASSES
        }

    def _offset(self, line: int, column: int) -> int:
        return self._line_starts[line - 1] + column

    def _replace(self, node: ast.stmt | ast.expr, text: str) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)
        self._edits.append(_Edit(start, end, text))

    def _edit_class(self, node: ast.ClassDef, old: dict[str, str]) -> None:
        bases = [base for base in node.bases if isinstance(base, ast.Name) and base.id in old]
        for base in bases:
            assert isinstance(base, ast.Name)
            self._replace(base, old[base.id])
        if not old:
            return
        attributes = {
            target.id: statement
            for statement in node.body
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        task_set = attributes.get("task_set")
        if task_set is not None:
            self._replace(task_set, f"tasks = [{ast.unparse(task_set.value)}]")
        waits = [attributes[name] for name in ("min_wait", "max_wait") if name in attributes]
        if waits and "wait_time" not in attributes:
            low, high = (self._milliseconds(attributes.get(name)) for name in ("min_wait", "max_wait"))
            if low is not None and high is not None:
                self._needs_between = True
                self._replace(waits[0], f"wait_time = between({low / 1000:g}, {max(low, high) / 1000:g})")
                for other in waits[1:]:
                    self._remove(other)

    def _milliseconds(self, statement: ast.Assign | None) -> float | None:
        """Return the number that is assigned, 1000 without an assignment, None for what is no literal."""
        if statement is None:
            return 1000.0
        value = statement.value
        is_number = isinstance(value, ast.Constant) and isinstance(value.value, int | float)
        return float(value.value) if is_number else None  # type: ignore[attr-defined]

    def _remove(self, statement: ast.stmt) -> None:
        """Remove a statement with its line, if it has one to itself."""
        assert statement.end_lineno is not None
        start, end = self._line_starts[statement.lineno - 1], self._line_starts[statement.end_lineno]
        line = self._bytes[start:end].decode()
        if line.strip().startswith(ast.get_source_segment(self._text, statement) or line):
            self._edits.append(_Edit(start, end, ""))

    def _edit_import(self, node: ast.ImportFrom, with_between: bool) -> None:
        names: dict[str, list[str]] = {}
        for alias in node.names:
            module, name = _target(node.module or "", alias.name)
            if not module:
                names.setdefault(node.module or "", []).append(_imported(alias.name, alias.asname))
                if alias.name != "*":
                    self._stays.append(f"line {node.lineno}: {node.module}.{alias.name}")
                continue
            shown = alias.asname or (alias.name if name != _OLD_CLASSES.get(alias.name) else name)
            imported = _imported(name, shown if shown != name else None)
            if imported not in names.setdefault(module, []):
                names[module].append(imported)
        if with_between:
            names.setdefault("obswarm", []).append("between")
        indent = " " * node.col_offset
        lines = f"\n{indent}".join(
            line for module, found in names.items() for line in _import_lines(module, found, node.col_offset)
        )
        self._replace(node, lines)


def _is_locust(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == _LOCUST


def _target(module: str, name: str) -> tuple[str, str]:
    """Where obswarm has a name; empty if only obswarm.locust has it."""
    if (module, name) in _ELSEWHERE:
        return _ELSEWHERE[module, name]
    name = _OLD_CLASSES.get(name, name)
    return ("obswarm", name) if name in obswarm.__all__ and not name.startswith("_") else ("", "")


def _imported(name: str, alias: str | None) -> str:
    return f"{name} as {alias}" if alias and alias != name else name


def _import_lines(module: str, names: list[str], column: int) -> Iterator[str]:
    line = f"from {module} import {', '.join(names)}"
    if column + len(line) <= _LONGEST_LINE:
        yield line
        return
    yield f"from {module} import ("
    for name in names:
        yield f"    {name},"
    yield ")"
