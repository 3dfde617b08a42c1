"""The run that a service was asked for, kept on the disk so that the process that makes it has it, and its successors.

How often it was begun is kept as files that are removed one by one, which is possible on a full disk, too.
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
"""So often a run is begun or gone on with; one that has ended its master's process each time is given up."""

_ELSEWHERE = "OBSWARM_PENDING_RUN"
"""The folder, where the usual one could not be written: for the process that this one becomes."""


class PendingRun:
    """In `folder`, or in one for temporary files when that cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._usual = folder
        elsewhere = os.environ.get(_ELSEWHERE)
        self.folder = Path(elsewhere) if elsewhere else folder

    @property
    def files(self) -> Path:
        """What was sent with it."""
        return self.folder / "files"

    @property
    def _starts(self) -> Path:
        return self.folder / "starts"

    def save(self, order: RunRequest) -> None:
        """Raises ObswarmError when it can be kept nowhere."""
        self.forget()
        try:
            self._save(order, self._usual)
        except (OSError, ObswarmError) as error:
            reason = reason_of(error)
            try:
                elsewhere = Path(os.environ.get(SERVICE_FOLDER) or tempfile.mkdtemp(prefix="obswarm-run-"))
                self._save(order, elsewhere / "order")
            except OSError as also:
                raise ObswarmError(
                    f"the run cannot be kept in {self._usual} ({reason}), nor elsewhere ({reason_of(also)})"
                ) from None
            logger.warning(
                "The run cannot be kept in %s (%s), but in %s: in a new container it could not be gone on with.",
                self._usual,
                reason,
                self.folder,
            )

    def _save(self, order: RunRequest, folder: Path) -> None:
        self.folder = folder
        if folder == self._usual:
            os.environ.pop(_ELSEWHERE, None)
        else:
            os.environ[_ELSEWHERE] = str(folder)
        try:
            order.save(folder)
            make_private_folder(self._starts)
            self._allow_all_starts()
        except BaseException:
            self.forget()
            raise

    def _allow_all_starts(self) -> None:
        for number in range(MOST_STARTS):
            (self._starts / str(number)).touch(0o600)

    def lasts(self) -> None:
        """It has gone on for a while: what happens from now on is not its fault."""
        with suppress(OSError):
            self._allow_all_starts()

    def keep_result(self, result: RunResult) -> None:
        """It has ended so; for a process that is started before the client has the result. Raises OSError."""
        write_private(self._result, pack_result(result))

    def kept_result(self) -> RunResult | None:
        """That, if there is one."""
        try:
            return unpack_result(self._result.read_bytes())
        except (OSError, NotReadable):
            return None

    @property
    def _result(self) -> Path:
        return self.folder / "result.msgpack"

    def read(self) -> tuple[RunRequest | None, int]:
        """The run, if there is one, and how often it has been begun. Raises BadRunRequest."""
        try:
            order = RunRequest.read(self.folder)
            left = len(os.listdir(self._starts)) if order is not None else MOST_STARTS
        except OSError as error:
            raise BadRunRequest(reason_of(error)) from None
        return order, MOST_STARTS - left

    def begin(self, cost: int = 1) -> None:
        """It is begun once more, which counts as so many starts."""
        try:
            for start in sorted(self._starts.iterdir())[-cost:]:
                start.unlink()
        except OSError as error:
            logger.warning("It cannot be kept that the run was begun: %s.", reason_of(error))

    def forget(self) -> None:
        """It is over. What cannot be removed is not found as a run any more, if that is possible."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder != self._usual:
            with suppress(OSError):
                self.folder.parent.rmdir()
        os.environ.pop(_ELSEWHERE, None)
        self.folder = self._usual


class KeptResult(Output):
    """Output that keeps the result with the run, before its state is removed."""

    required = False

    def __init__(self, pending: PendingRun) -> None:
        self._pending = pending

    def finish(self, result: RunResult) -> None:
        try:
            self._pending.keep_result(result)
        except OSError as error:
            logger.warning("The result of the run cannot be kept until its client has it: %s.", reason_of(error))
