"""The run that a client has submitted to a service, stored on disk for the process that executes it, and for the
processes after a crash.

The number of its starts is stored as files that are removed one by one, which works on a full disk, too.
"""

import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from obswarm.api import ObswarmError
from obswarm.app.service_process import SERVICE_FOLDER
from obswarm.engine import Output, RunResult
from obswarm.errors import reason_of
from obswarm.private_files import make_private_folder, write_private
from obswarm.web import BadRunRequest, RunRequest
from obswarm.web.wire import NotReadable, pack_result, unpack_result

logger = logging.getLogger(__name__)

MOST_STARTS = 5
"""Maximum number of starts of a run; one that has crashed its master's process each time is given up."""

_ELSEWHERE = "OBSWARM_PENDING_RUN"
"""Variable that passes on the folder to the next process, if the usual one cannot be written."""


class PendingRun:
    """A pending run in `folder`, or in a temporary folder if that cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._usual = folder
        elsewhere = os.environ.get(_ELSEWHERE)
        self.folder = Path(elsewhere) if elsewhere else folder

    @property
    def files(self) -> Path:
        """Folder of the files that the client has sent."""
        return self.folder / "files"

    @property
    def _starts(self) -> Path:
        return self.folder / "starts"

    def save(self, request: RunRequest) -> None:
        """Store a request. Raises ObswarmError if it can be stored nowhere."""
        self.forget()
        try:
            self._save(request, self._usual)
        except (OSError, ObswarmError) as error:
            reason = reason_of(error)
            try:
                elsewhere = Path(os.environ.get(SERVICE_FOLDER) or tempfile.mkdtemp(prefix="obswarm-run-"))
                self._save(request, elsewhere / "order")
            except OSError as also:
                raise ObswarmError(
                    f"the run cannot be stored in {self._usual} ({reason}), nor elsewhere ({reason_of(also)})"
                ) from None
            logger.warning(
                "The run cannot be stored in %s (%s), only in %s: a new container could not continue it.",
                self._usual,
                reason,
                self.folder,
            )

    def _save(self, request: RunRequest, folder: Path) -> None:
        self.folder = folder
        if folder == self._usual:
            os.environ.pop(_ELSEWHERE, None)
        else:
            os.environ[_ELSEWHERE] = str(folder)
        try:
            request.save(folder)
            make_private_folder(self._starts)
            self._allow_all_starts()
        except BaseException:
            self.forget()
            raise

    def _allow_all_starts(self) -> None:
        for number in range(MOST_STARTS):
            (self._starts / str(number)).touch(0o600)

    def lasts(self) -> None:
        """Allow all starts again, after the run has been in progress for a while."""
        with suppress(OSError):
            self._allow_all_starts()

    def keep_result(self, result: RunResult) -> None:
        """Store the result for the case of a crash before the client has fetched it. Raises OSError."""
        write_private(self._result, pack_result(result))

    def kept_result(self) -> RunResult | None:
        """Return the stored result, None without one."""
        try:
            return unpack_result(self._result.read_bytes())
        except (OSError, NotReadable):
            return None

    @property
    def _result(self) -> Path:
        return self.folder / "result.msgpack"

    def read(self) -> tuple[RunRequest | None, int]:
        """Return the pending run, if there is one, and its number of starts. Raises BadRunRequest."""
        try:
            request = RunRequest.read(self.folder)
            left = len(os.listdir(self._starts)) if request is not None else MOST_STARTS
        except OSError as error:
            raise BadRunRequest(reason_of(error)) from None
        return request, MOST_STARTS - left

    def begin(self, cost: int = 1) -> None:
        """Count a start, as `cost` starts."""
        try:
            for start in sorted(self._starts.iterdir())[-cost:]:
                start.unlink()
        except OSError as error:
            logger.warning("The start of the run cannot be counted: %s.", reason_of(error))

    def forget(self) -> None:
        """Remove the pending run, as far as that is possible."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder != self._usual:
            with suppress(OSError):
                self.folder.parent.rmdir()
        os.environ.pop(_ELSEWHERE, None)
        self.folder = self._usual


class KeptResult(Output):
    """Output that stores the result with the pending run, before the state file is removed."""

    required = False

    def __init__(self, pending: PendingRun) -> None:
        self._pending = pending

    def finish(self, result: RunResult) -> None:
        try:
            self._pending.keep_result(result)
        except OSError as error:
            logger.warning("The result cannot be stored until the client has fetched it: %s.", reason_of(error))
