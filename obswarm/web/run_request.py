"""An order: a run that a master which stays is asked to make, as MessagePack on the wire and in a folder of its own."""

import shutil
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgpack

from obswarm.bounded_msgpack import unpack as unpack_limited
from obswarm.cluster import unpack_bundle
from obswarm.private_files import make_private_folder, write_private

_FILE = "order.msgpack"
_MOST_ITEMS = 100_000
_CHECKS: dict[str, tuple[type, ...]] = {
    "release": (str,),
    "given": (dict,),
    "rest": (list,),
    "files": (list,),
    "mounted": (bool,),
    "settings": (bytes, type(None)),
    "digest": (str,),
    "bundle": (bytes,),
    "id": (str,),
    "workers": (int,),
}


class BadRunRequest(ValueError):
    """The text says what is wrong."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """`given` are the command line's options by the name of their parameter, as texts (a list of them where an option
    can be repeated, true for a flag); `rest` the user classes and the load test's own options.

    `files` are the load-test files, relative to the bundle, or where the master has the folder `mounted` to that.
    `settings` is the text of obswarm.toml. `workers` is the number that the client knows the master to
    have (0: it does not know), and in an accepted order how many take part; `id` is set by the master.
    """

    release: str
    given: dict[str, Any]
    rest: list[str]
    files: list[str]
    mounted: bool
    settings: bytes | None
    digest: str
    bundle: bytes
    id: str = ""
    workers: int = 0

    def accepted(self, number: str, workers: int) -> "RunRequest":
        return replace(self, id=number, workers=workers)

    def pack(self) -> bytes:
        packed: bytes = msgpack.packb(asdict(self))
        return packed

    @staticmethod
    def unpack(packed: bytes) -> "RunRequest":
        """Raises BadOrder."""
        try:
            values = unpack_limited(packed, _MOST_ITEMS)
            if not isinstance(values, dict) or set(values) != {field.name for field in fields(RunRequest)}:
                raise BadRunRequest("it is no order")
            for name, kinds in _CHECKS.items():
                if not isinstance(values[name], kinds):
                    raise BadRunRequest(f"its {name} is of a wrong type")
            texts = [*values["rest"], *values["files"], *values["given"]]
            if not all(isinstance(text, str) for text in texts):
                raise BadRunRequest("it has something else than texts where texts belong")
            return RunRequest(**values)
        except (ValueError, TypeError) as error:
            if isinstance(error, BadRunRequest):
                raise
            raise BadRunRequest(f"it is no order ({type(error).__name__})") from None

    def save(self, folder: Path) -> None:
        """Replaces the order that is there; only its owner can read it, since options may be tokens.

        Raises OSError, and ObswarmError for a bundle that is none.
        """
        shutil.rmtree(folder, ignore_errors=True)
        make_private_folder(folder / "files")
        if not self.mounted:
            unpack_bundle(self.bundle, self.digest, folder / "files")
        if self.settings is not None:
            write_private(folder / "obswarm.toml", self.settings)
        # Last: an order that is there is there as a whole.
        write_private(folder / _FILE, replace(self, bundle=b"").pack())

    @staticmethod
    def read(folder: Path) -> "RunRequest | None":
        """The one that was saved; None when there is none. Raises BadOrder."""
        try:
            return RunRequest.unpack((folder / _FILE).read_bytes())
        except FileNotFoundError:
            return None
