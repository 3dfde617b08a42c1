"""The bundle of a load test: its files and those that they need, packed by the master and unpacked by workers."""

import ast
import hashlib
import socket
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgpack

from obswarm import defaults
from obswarm.api import ObswarmError
from obswarm.bounded_msgpack import unpack as unpack_value
from obswarm.private_files import make_private_folder, write_private
from obswarm.syntax import parse
from obswarm.units import format_bytes

_SHOWN = 5
_LARGEST_UNPACKED_BYTES = 512 * 1024 * 1024
_MOST_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed bundle. `files` are paths relative to `root` on the master; `digest` is the SHA-256 of its content."""

    root: Path
    files: tuple[str, ...]
    digest: str
    content: bytes


class OpenedFiles:
    """Records the files that load-test files open for reading during their import: the data that they need."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self._on = False
        self._hooked = False

    @contextmanager
    def noting(self) -> Iterator["OpenedFiles"]:
        if not self._hooked:
            # An audit hook cannot be taken away again, so it is one for good and is switched off.
            sys.addaudithook(self._note)
            self._hooked = True
        self._on = True
        try:
            yield self
        finally:
            self._on = False

    def _note(self, event: str, arguments: Any) -> None:
        if not self._on or event != "open":
            return
        path, mode = arguments[0], arguments[1]
        if isinstance(path, str) and (mode is None or not set("wax+") & set(str(mode))):
            self.paths.add(path)


def common_root(files: Sequence[Path]) -> Path:
    """Return the folder to which paths of the bundle are relative: the current one, or that of the first file if a file
    is outside."""
    current = Path.cwd().resolve()
    resolved = [file.resolve() for file in files]
    if all(current in file.parents for file in resolved):
        return current
    return resolved[0].parent


def gather(files: Sequence[Path], opened: Iterable[str] = (), extra: Sequence[str] = ()) -> tuple[Path, list[Path]]:
    """Return (root, paths) of the bundle: the load-test files, the modules beside them that they import (anywhere in
    their code), the files `opened` during the import, and the `extra` files and folders.

    Raises ObswarmError if an extra one does not exist or is outside of the root.
    """
    root = common_root(files)
    found: dict[Path, None] = {}
    folders = [file.resolve().parent for file in files]
    waiting = [file.resolve() for file in files]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = None
        if path.suffix == ".py":
            waiting.extend(_imported(path, [path.parent, *folders]))
    for name in opened:
        path = Path(name).resolve()
        if root in path.parents and path.is_file() and not _is_installed(path.relative_to(root)):
            found[path] = None
    for name in extra:
        named = Path(name).resolve()
        if root not in named.parents:
            raise ObswarmError(f"--bundle {name} lies outside {root}, the folder that is sent to workers.")
        if not named.exists():
            raise ObswarmError(f"--bundle {name}: there is no such file or folder.")
        inside = [named] if named.is_file() else sorted(each for each in named.rglob("*") if each.is_file())
        found.update(dict.fromkeys(each for each in inside if "__pycache__" not in each.parts))
    return root, [path for path in found if root in path.parents]


def _is_installed(path: Path) -> bool:
    """Return whether a path below the root belongs to an installed package or an environment."""
    folders = path.parts[:-1]
    return bool({"site-packages", "__pycache__"} & set(folders)) or any(part.startswith(".") for part in folders)


def _imported(path: Path, folders: Sequence[Path]) -> list[Path]:
    try:
        tree = parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []
    found: list[Path] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.extend(_module_files(alias.name.split("."), folders))
        elif isinstance(node, ast.ImportFrom):
            base = [path.parent]
            for _ in range(node.level - 1):
                base = [base[0].parent]
            parts = node.module.split(".") if node.module else []
            where = base if node.level else folders
            found.extend(_module_files(parts, where))
            for alias in node.names:
                found.extend(_module_files([*parts, alias.name], where))
    return found


def _module_files(parts: Sequence[str], folders: Sequence[Path]) -> list[Path]:
    """Return the files of a dotted module name in the first folder that has it: the module, and the __init__ of its
    packages."""
    for folder in folders:
        found = []
        place = folder
        for part in parts:
            package, module = place / part / "__init__.py", place / f"{part}.py"
            if module.is_file():
                found.append(module)
            elif package.is_file():
                found.append(package)
            elif not (place / part).is_dir():
                break
            place = place / part
        if found:
            return found
    return []


def pack(root: Path, paths: Sequence[Path], limit_bytes: int = defaults.BUNDLE_LIMIT_BYTES) -> Packed:
    """Pack the files. Raises ObswarmError if one cannot be read, or if all together are larger than the limit."""
    contents: dict[str, bytes] = {}
    for path in sorted(paths):
        try:
            contents[path.relative_to(root).as_posix()] = path.read_bytes()
        except OSError as error:
            raise ObswarmError(f"{path} cannot be read to be sent to workers: {error.strerror}.") from None
    if len(contents) > _MOST_FILES:
        raise ObswarmError(f"The load test has {len(contents):,} files; at most {_MOST_FILES:,} are sent to workers.")
    size = sum(map(len, contents.values()))
    if size > limit_bytes:
        largest = sorted(contents.items(), key=lambda item: -len(item[1]))[:_SHOWN]
        listing = ", ".join(f"{name} ({format_bytes(len(content))})" for name, content in largest)
        raise ObswarmError(
            f"The load test's files are {format_bytes(size)}, more than the {format_bytes(limit_bytes)} that are sent"
            f" to workers. The largest: {listing}. Put large data where workers can reach it, or raise --bundle-limit."
        )
    packed = msgpack.packb(contents)
    return Packed(root, tuple(contents), hashlib.sha256(packed).hexdigest(), zlib.compress(packed, 6))


def unpack(content: bytes, digest: str, folder: Path) -> None:
    """Write the files of a bundle into a folder. Raises ObswarmError if the digest is wrong, or a file cannot be
    written."""
    try:
        decompressor = zlib.decompressobj()
        packed = decompressor.decompress(content, _LARGEST_UNPACKED_BYTES)
        if decompressor.unconsumed_tail or hashlib.sha256(packed).hexdigest() != digest:
            raise ValueError("the digest is wrong")
        contents = unpack_value(packed, _MOST_FILES * 2 + 1)
        for name, data in contents.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"the path {name!r}")
            place = folder / path
            make_private_folder(place.parent)
            write_private(place, data)
    except OSError as error:
        raise cannot_write(error) from None
    except (ValueError, TypeError, AttributeError, zlib.error) as error:
        raise ObswarmError(f"The files that the master sent cannot be used: {error}.") from None


def cannot_write(error: OSError) -> ObswarmError:
    """Return the error of a worker that cannot write the load test's files."""
    where = f" {error.filename}" if error.filename else ""
    return ObswarmError(
        f"The load test's files cannot be written on {socket.gethostname()}: {error.strerror or error}{where}."
        " They are written to the folder for temporary files; set TMPDIR to use another one."
    )


def hash_of_files(files: Sequence[Path]) -> str:
    """Return the SHA-256 of the load-test files' contents, in order, to compare them with those of a worker."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
