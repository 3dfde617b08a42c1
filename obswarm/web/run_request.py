"""A client's request for a run to a master service: as MessagePack on the wire, and in a folder of its own."""

import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path

import msgpack

from obswarm import __version__
from obswarm.bounded_msgpack import unpack as unpack_limited
from obswarm.cluster import unpack_bundle
from obswarm.config import BadConfig, RunConfig, from_wire, to_wire
from obswarm.private_files import make_private_folder, write_private

_FILE = "order.msgpack"
_MOST_ITEMS = 100_000
_CHECKS: dict[str, type] = {
    "files": list,
    "mounted": bool,
    "digest": str,
    "bundle": bytes,
    "id": str,
    "workers": int,
}


class BadRunRequest(ValueError):
    """The text says what is wrong."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """`config` is what the client says about the run.

    `files` are the load-test files, relative to the bundle, or where the master has the folder `mounted` to that.
    `workers` is the number that the client knows the master to have (0: it does not know), and in an accepted request
    how many take part; `id` is set by the master.
    """

    config: RunConfig
    files: list[str]
    mounted: bool
    digest: str
    bundle: bytes
    id: str = ""
    workers: int = 0

    def accepted(self, number: str, workers: int) -> "RunRequest":
        return replace(self, id=number, workers=workers)

    def pack(self) -> bytes:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        packed: bytes = msgpack.packb({**values, "config": to_wire(self.config, __version__)})
        return packed

    @staticmethod
    def unpack(packed: bytes) -> "RunRequest":
        """Raises BadRunRequest."""
        try:
            values = unpack_limited(packed, _MOST_ITEMS)
            if not isinstance(values, dict) or "config" not in values:
                raise BadRunRequest("it is no request for a run of this version")
            config = from_wire(values.pop("config"), __version__)
            if set(values) != set(_CHECKS):
                raise BadRunRequest("it is no request for a run")
            for name, kind in _CHECKS.items():
                if type(values[name]) is not kind:
                    raise BadRunRequest(f"its {name} is of a wrong type")
            if not all(isinstance(name, str) for name in values["files"]):
                raise BadRunRequest("it has something else than texts where texts belong")
            return RunRequest(config, **values)
        except BadConfig as error:
            raise BadRunRequest(str(error)) from None
        except (ValueError, TypeError) as error:
            if isinstance(error, BadRunRequest):
                raise
            raise BadRunRequest(f"it is no request for a run ({type(error).__name__})") from None

    def save(self, folder: Path) -> None:
        """Replaces the order that is there; only its owner can read it, since options may be tokens.

        Raises OSError, and ObswarmError for a bundle that is none.
        """
        shutil.rmtree(folder, ignore_errors=True)
        make_private_folder(folder / "files")
        if not self.mounted:
            unpack_bundle(self.bundle, self.digest, folder / "files")
        # Last: an order that is there is there as a whole.
        write_private(folder / _FILE, replace(self, bundle=b"").pack())

    @staticmethod
    def read(folder: Path) -> "RunRequest | None":
        """The one that was saved; None when there is none. Raises BadRunRequest."""
        try:
            return RunRequest.unpack((folder / _FILE).read_bytes())
        except FileNotFoundError:
            return None
