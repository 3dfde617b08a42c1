"""A client's request for a run of a master service: MessagePack on the wire, and a folder on disk."""

import shutil
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

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
    "run_id": str,
    "workers": int,
    "search": dict,
}


class BadRunRequest(ValueError):
    """An invalid request; the text is the reason."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A request for a run with the configuration `config`.

    `files` are the load-test files, relative to the bundle, or, if the master has their folder `mounted`, to that
    folder. `workers` is the number of workers that the client expects (0 if unknown), and in an accepted request the
    number that takes part; the master sets `id`, and the `run_id` under which the run is stored. `search` has the
    settings of a search for the limit; it is empty for any other run.
    """

    config: RunConfig
    files: list[str]
    mounted: bool
    digest: str
    bundle: bytes
    id: str = ""
    workers: int = 0
    search: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""

    def accepted(self, number: str, workers: int, run_id: str) -> "RunRequest":
        return replace(self, id=number, workers=workers, run_id=run_id)

    def pack(self) -> bytes:
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        packed: bytes = msgpack.packb({**values, "config": to_wire(self.config, __version__)})
        return packed

    @staticmethod
    def unpack(packed: bytes) -> "RunRequest":
        """Decode a request. Raises BadRunRequest."""
        try:
            values = unpack_limited(packed, _MOST_ITEMS)
            if not isinstance(values, dict) or "config" not in values:
                raise BadRunRequest("not a request for a run of this version")
            config = from_wire(values.pop("config"), __version__)
            if set(values) != set(_CHECKS):
                raise BadRunRequest("not a request for a run")
            for name, kind in _CHECKS.items():
                if type(values[name]) is not kind:
                    raise BadRunRequest(f"{name} has the wrong type")
            if not all(isinstance(name, str) for name in values["files"]):
                raise BadRunRequest("files has a value that is not a string")
            return RunRequest(config, **values)
        except BadConfig as error:
            raise BadRunRequest(str(error)) from None
        except (ValueError, TypeError) as error:
            if isinstance(error, BadRunRequest):
                raise
            raise BadRunRequest(f"not a request for a run ({type(error).__name__})") from None

    def save(self, folder: Path) -> None:
        """Save the request, replacing the one in the folder; only the owner can read it, as options may be secrets.

        Raises OSError, and ObswarmError for an invalid bundle.
        """
        shutil.rmtree(folder, ignore_errors=True)
        make_private_folder(folder / "files")
        if not self.mounted:
            unpack_bundle(self.bundle, self.digest, folder / "files")
        # Written last, so that an existing file means a complete request.
        write_private(folder / _FILE, replace(self, bundle=b"").pack())

    @staticmethod
    def read(folder: Path) -> "RunRequest | None":
        """Return the saved request, None if there is none. Raises BadRunRequest."""
        try:
            return RunRequest.unpack((folder / _FILE).read_bytes())
        except FileNotFoundError:
            return None
