"""Alerts that a master service receives while it makes no run: those that fire are handed to the next one."""

import logging
from pathlib import Path

from obswarm.guards import BadPayload, Delivery, decode_delivery, encode_delivery
from obswarm.private_files import make_private_folder, tighten, write_private
from obswarm.record import RefusedAlerts
from obswarm.web import AlertsApp

logger = logging.getLogger(__name__)


class IdleAlerts:
    """`app` receives alerts: that of a run, while there is one, else one of its own. `path` is the file in which alerts
    that fire are kept for the process that makes the next run."""

    def __init__(self, path: Path, token: str) -> None:
        self._path = path
        self._token = token
        self.app = AlertsApp(None, token)

    @property
    def refused(self) -> tuple[RefusedAlerts, ...]:
        """What was refused while there was no run."""
        return () if self.app.has_run else self.app.refused

    def restore(self) -> None:
        """Take over what an earlier process has kept."""
        self.app.restore(self._kept())

    def keep(self) -> None:
        """Keep what fires for the process after this one."""
        try:
            make_private_folder(self._path.parent)
            write_private(self._path, encode_delivery(self.app.known))
            tighten(self._path)
        except OSError as error:
            logger.warning("Alerts that fire cannot be kept for the next run in %s: %s.", self._path, error.strerror)

    def hand_to(self, app: AlertsApp) -> Delivery:
        """Return what is known, for a run whose app receives alerts from now on."""
        known = self.app.known
        self.app = app
        return known

    def take_back(self) -> None:
        """The run has ended. What is refused from now on is in no run's figures yet; a run that never took what was
        there has left it."""
        if self.app.has_run:
            firing = self.app.firing
            self.app = AlertsApp(None, self._token)
            self.app.restore(Delivery(tuple(firing)))

    def _kept(self) -> Delivery:
        try:
            body = self._path.read_bytes()
            self._path.unlink()
            return decode_delivery(body)
        except FileNotFoundError:
            return Delivery()
        except (OSError, BadPayload) as error:
            logger.warning("Alerts from before this run cannot be read from %s: %s.", self._path, error)
            return Delivery()
