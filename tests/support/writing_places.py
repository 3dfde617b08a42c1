"""Every place of the package that writes, found in its source: where something can be full, closed, gone or forbidden."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import obswarm
from obswarm.syntax import parse

PACKAGE = Path(obswarm.__file__).parent

FUNCTIONS = {
    *("click.echo", "print", "write_to_file", "write_to_stream", "self._socket.send", "self._socket.send_to"),
    *("open_private", "write_private", "make_private_folder", "TemporaryFolder"),
    *("os.write", "os.open", "os.replace", "os.rename", "os.mkdir", "os.makedirs", "os.unlink", "os.remove", "os.dup2"),
    *("os.fsync", "os.truncate", "os.ftruncate", "os.chmod", "os.link", "os.symlink", "os.pwrite", "os.writev"),
    *("shutil.rmtree", "shutil.copy", "shutil.copytree", "shutil.copyfile", "shutil.move", "json.dump"),
    *("tempfile.TemporaryDirectory", "tempfile.mkdtemp", "tempfile.mkstemp", "tempfile.NamedTemporaryFile"),
    *("sqlite3.connect", "subprocess.Popen", "subprocess.run", "tarfile.open", "zipfile.ZipFile"),
    *("logging.FileHandler", "logging.StreamHandler"),
}
"""By the name that they are called by."""

WRITE_FOR_OTHERS = ("private_files.py", "temporary.py")
"""The modules of those four: their callers are the places."""

METHODS = {
    *("write", "writelines", "writerow", "writerows", "write_text", "write_bytes", "flush", "truncate"),
    *("mkdir", "touch", "unlink", "rmdir", "rename", "symlink_to", "hardlink_to", "chmod"),
    *("execute", "executemany", "executescript", "commit", "iterdump", "backup"),
    *("sendall", "send_multipart", "post", "print", "extractall"),
}
"""By their own name, whatever they are called on."""


@dataclass(frozen=True, order=True)
class Place:
    """A call: its module's path in the package, the function that it is in, and what is called. `number` tells calls of
    one text in one function apart."""

    module: str
    function: str
    call: str
    number: int = 0

    def __str__(self) -> str:
        return f"{self.module}:{self.function}:{self.call}" + (f"#{self.number}" if self.number else "")


def writes(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name in FUNCTIONS:
        return True
    if name in ("open", "io.open") or (isinstance(call.func, ast.Attribute) and call.func.attr == "open"):
        modes = [*call.args[1:2], *call.args[:1], *(word.value for word in call.keywords if word.arg == "mode")]
        texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
        # A mode that is no constant may be any.
        return any(set(text) <= set("rwaxbt+U") and set(text) & set("wax+") for text in texts) or any(
            not isinstance(mode, ast.Constant) for mode in call.args[1:2]
        )
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr == "replace":
        # Path.replace, which takes one argument; str.replace and dataclasses.replace take more.
        return len(call.args) == 1 and not call.keywords
    return call.func.attr in METHODS


class _Visitor(ast.NodeTransformer):
    """Finds the places of a module; with `wrapped` puts a call of that name around each."""

    def __init__(self, module: str, wrapped: str | None = None) -> None:
        self.places: list[Place] = []
        self._module = module
        self._wrapped = wrapped
        self._within: list[str] = []

    def _nested(self, node: ast.AST) -> ast.AST:
        self._within.append(node.name)  # type: ignore[attr-defined]
        self.generic_visit(node)
        self._within.pop()
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _nested  # noqa: N815 - as ast calls them

    def visit_Call(self, node: ast.Call) -> ast.AST:
        is_place = writes(node) and self._module not in WRITE_FOR_OTHERS
        name = ast.unparse(node.func)
        self.generic_visit(node)
        if not is_place:
            return node
        function = ".".join(self._within) or "<module>"
        alike = sum((each.function, each.call) == (function, name) for each in self.places)
        place = Place(self._module, function, name, alike)
        self.places.append(place)
        if self._wrapped is None:
            return node
        arguments = [ast.Constant(str(place)), node.func, *node.args]
        around = ast.Call(ast.Name(self._wrapped, ast.Load()), arguments, node.keywords)
        return ast.copy_location(around, node)


def places_of(source: str, module: str) -> list[Place]:
    visitor = _Visitor(module)
    visitor.visit(parse(source))
    return visitor.places


def instrumented(source: str, module: str, wrapper: str) -> ast.Module:
    """The module with each writing call f(a) as wrapper(place, f, a)."""
    tree = parse(source)
    _Visitor(module, wrapper).visit(tree)
    return ast.fix_missing_locations(tree)


def all_places() -> Iterator[Place]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield from places_of(path.read_text(), str(path.relative_to(PACKAGE)))
