"""The page of a master service: who may use it, what it shows between runs, and what its processes pass on."""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from obswarm.api import Environment, events
from obswarm.app.page import Page
from obswarm.app.page_access import access_of
from obswarm.app.page_service import PageService
from obswarm.app.planning import RunPlan
from obswarm.app.run_service import MasterRunService
from obswarm.app.submitting import Submitter
from obswarm.config import RunConfig
from obswarm.json_text import to_json
from obswarm.private_files import make_private_folder, tighten, write_private
from obswarm.stats import Recorder
from obswarm.web.rest.documents import LoadTestDocument, Status

logger = logging.getLogger(__name__)

_STORES_S = 10.0
"""Maximum time that the end of the service waits for the storage of a run."""
_LONGEST_ERROR = 2000


class ServicePageService(PageService):
    """The runs of a master service for its page. The load test of each run may be another one; the form is that of the
    service's own."""

    def __init__(self, config: RunConfig, runs: MasterRunService, submitter: Submitter, boot: str | None) -> None:
        super().__init__(config, submitter.submit if submitter.has_loadtest else None, boot)
        self._runs = runs
        self._submitter = submitter

    def status(self) -> Status:
        status = super().status()
        return status if self.present is not None else replace(status, workers=len(self._runs.idle_workers))

    def loadtest(self) -> LoadTestDocument:
        return self._submitter.describe()


class ServicePage:
    """The page of a service. `path` is the file that passes on its sessions, and what else outlives a process."""

    def __init__(
        self, config: RunConfig, token: str, runs: MasterRunService, folder: Path, loadtest: Path | None, path: Path
    ) -> None:
        """`token` is that of the API, `folder` the one in which the service was started, `loadtest` its own load test.
        Raises ObswarmError for invalid options about access."""
        self._path = path
        self.is_served = not config.outputs.headless
        """Whether there is a page; else nothing of it is seen."""
        kept = self._read()
        # Runs are executed in other folders.
        config = config.replaced({"store": str(folder / config.store.folder)})
        self.submitter = Submitter(config, folder, loadtest, token, kept.get("clients", ()))
        self.service = ServicePageService(config, runs, self.submitter, kept.get("boot"))
        access = access_of(config, token)
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            access.restore(kept.get("sessions", {}))
        access.on_change = self._save
        self.page = Page(config, service=self.service, access=access)
        self._error = kept.get("error")
        if "boot" in kept:
            # A process that is started after a crash of this one does not continue it.
            self._save()
        if self._error:
            self.service.failed(self._error)

    def show_run(self, plan: RunPlan, config: RunConfig) -> Page | None:
        """Return the page for a run, which opens it; None if there is none."""
        if not self.is_served:
            return None
        self._error = None
        self.page.know(plan, config)
        return self.page

    def failed(self, error: str) -> None:
        """Show why a run has no result, also in the next process."""
        self._error = error[:_LONGEST_ERROR]
        self.service.failed(self._error)

    def open(self) -> None:
        """Answer requests although there is no run."""
        if self.page.environment is None:
            self.page.environment = Environment(events=events, recorder=Recorder())
        self.page.web_ui.open()

    def keep(self) -> None:
        """Save what the next process needs, which continues this one."""
        self._save(boot=self.service.boot, clients=self.submitter.clients, error=self._error)

    def _save(self, **more: Any) -> None:
        """Save the sessions, also for the process after a crash, and `more`."""
        try:
            make_private_folder(self._path.parent)
            write_private(self._path, to_json({"sessions": self.page.access.sessions, **more}))
            tighten(self._path)
        except OSError as error:
            logger.warning("Those who use the page have to log in again: %s: %s.", self._path, error.strerror)

    def _read(self) -> Mapping[str, Any]:
        with suppress(OSError, ValueError):
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(kept, dict):
                return kept
        return {}

    def close(self) -> None:
        """End the page, when runs that were started on it are stored."""
        self.service.streams.close()
        self.submitter.wait_for_clients(_STORES_S)
