"""The load-test files and what they need of the files beside them, packed by the master and unpacked by workers."""

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
from obswarm.units import format_bytes

_SHOWN = 5
_LARGEST_UNPACKED_BYTES = 512 * 1024 * 1024
_MOST_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Packed:
    """`files` are the paths in it, relative to `root` on the master; `digest` is the SHA-256 of the content."""

    root: Path
    files: tuple[str, ...]
    digest: str
    content: bytes


class OpenedFiles:
    """Notes the files that are opened for reading while load-test files are imported: those are data that they need."""

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
    """The folder that paths in the bundle are relative to: where the command was given, or else where the files are."""
    here = Path.cwd().resolve()
    resolved = [file.resolve() for file in files]
    if all(here in file.parents for file in resolved):
        return here
    return resolved[0].parent


def gather(files: Sequence[Path], opened: Iterable[str] = (), extra: Sequence[str] = ()) -> tuple[Path, list[Path]]:
    """(root, paths): the load-test files, the modules beside them that they import (wherever the import stands), what
    they opened while they were imported, and the files and folders named in addition.

    Raises ObswarmError for a named one that does not exist or lies outside the root.
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
    """Whether a path below the root belongs to a package or an environment rather than to the load test."""
    folders = path.parts[:-1]
    return bool({"site-packages", "__pycache__"} & set(folders)) or any(part.startswith(".") for part in folders)


def _imported(path: Path, folders: Sequence[Path]) -> list[Path]:
    try:
        tree = ast.parse(path.read_bytes())
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
    """The files of a dotted name in the first folder that has it: packages' __init__ and the module itself."""
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
    """Raises ObswarmError when a file cannot be read, or all of them are larger than the limit."""
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
    """Write the files into a folder. Raises ObswarmError when they are not what was announced, or when they cannot be
    written there."""
    try:
        decompressor = zlib.decompressobj()
        packed = decompressor.decompress(content, _LARGEST_UNPACKED_BYTES)
        if decompressor.unconsumed_tail or hashlib.sha256(packed).hexdigest() != digest:
            raise ValueError("not what was announced")
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
    """What to say when a worker has no place for the load test's files."""
    where = f" {error.filename}" if error.filename else ""
    return ObswarmError(
        f"The load test's files cannot be written on {socket.gethostname()}: {error.strerror or error}{where}."
        " They go into the folder for temporary files; TMPDIR names another one."
    )


def hash_of_files(files: Sequence[Path]) -> str:
    """SHA-256 over the load-test files' contents, in order; what a worker with files of its own compares."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
