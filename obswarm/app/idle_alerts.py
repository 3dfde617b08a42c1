"""Alerts that a master service receives between runs: firing ones are passed to the next run."""

import logging
from pathlib import Path

from obswarm.guards import BadPayload, Delivery, decode_delivery, encode_delivery
from obswarm.private_files import make_private_folder, tighten, write_private
from obswarm.record import RefusedAlerts
from obswarm.web import AlertsApp

logger = logging.getLogger(__name__)


class IdleAlerts:
    """Receives alerts between runs. `app` is the receiver: that of the run, if there is one, else its own. `path` is
    the file that passes firing alerts to the process of the next run."""

    def __init__(self, path: Path, token: str) -> None:
        self._path = path
        self._token = token
        self.app = AlertsApp(None, token)

    @property
    def refused(self) -> tuple[RefusedAlerts, ...]:
        """Alerts that were refused while there was no run."""
        return () if self.app.has_run else self.app.refused

    def restore(self) -> None:
        """Load the alerts that an earlier process has saved."""
        self.app.restore(self._saved())

    def keep(self) -> None:
        """Save firing alerts for the next process."""
        try:
            make_private_folder(self._path.parent)
            write_private(self._path, encode_delivery(self.app.known))
            tighten(self._path)
        except OSError as error:
            logger.warning("Firing alerts cannot be saved for the next run to %s: %s.", self._path, error.strerror)

    def hand_to(self, app: AlertsApp) -> Delivery:
        """Return the known alerts for a run; its `app` receives alerts from now on."""
        known = self.app.known
        self.app = app
        return known

    def take_back(self) -> None:
        """Receive alerts again after the end of a run; alerts that are still firing are kept."""
        if self.app.has_run:
            firing = self.app.firing
            self.app = AlertsApp(None, self._token)
            self.app.restore(Delivery(tuple(firing)))

    def _saved(self) -> Delivery:
        try:
            body = self._path.read_bytes()
            self._path.unlink()
            return decode_delivery(body)
        except FileNotFoundError:
            return Delivery()
        except (OSError, BadPayload) as error:
            logger.warning("Alerts from before this run cannot be read from %s: %s.", self._path, error)
            return Delivery()
