"""The runner of a program that is a worker itself, for a master in another program."""

import logging
from dataclasses import replace
from pathlib import Path

import gevent

from obswarm.api import Environment, ObswarmError
from obswarm.cluster import (
    CurveKeys,
    Identity,
    Job,
    Worker,
    WorkerRunner,
    derive_keys,
    new_identity,
    read_secret,
    resolved_endpoint,
)
from obswarm.cluster.wire.messages import Custom, Message
from obswarm.engine import LocalGenerator, MessageListeners, UserScaler, select
from obswarm.greenlets import Supervisor
from obswarm.record import RunState

logger = logging.getLogger(__name__)

_PAUSE_S = 0.3

MASTER_QUITS = Custom("obswarm.quit", b"\xc0", "")
"""From a master to workers that are programs: there is no run after this one. The content is an empty one."""


class _ProgramWorker(Worker):
    """Takes part in one run of a master, on behalf of a runner."""

    master_quits = False

    def __init__(
        self, runner: "LibraryWorkerRunner", endpoint: str, keys: CurveKeys | None, identity: Identity
    ) -> None:
        super().__init__(endpoint, keys, identity=identity, messages=runner.listeners)
        self._owner = runner

    def serve(self) -> None:
        """Block until the run has ended. Raises ObswarmError without a master, or if it refuses this worker."""
        try:
            self.link.run()
        finally:
            if self._environment is not None and not self._ended:
                self._generator.stop(0)
            self.link.clean_up()

    def load(self, job: Job, folder: Path | None) -> Environment:
        environment, config = self._owner.environment, job.config.load
        # As in Locust, also without one.
        environment.host = config.host
        environment.stop_timeout = config.stop_timeout
        vars(environment.parsed_options).update(job.options)
        tags, excluded = environment.tags or config.tags, environment.exclude_tags or config.exclude_tags
        for cls in select(environment.user_classes, tags, excluded):
            if config.host:
                cls.host = config.host
        return environment

    def speed(self, environment: Environment) -> float:
        owner = self._owner
        if owner.speed is None:
            owner.speed = super().speed(environment)
        return owner.speed

    def make_runner(self, environment: Environment, generator: LocalGenerator, scaler: UserScaler) -> WorkerRunner:
        self._owner.take_part(self, generator, scaler)
        return self._owner

    def on_message(self, message: Message) -> None:
        if message == MASTER_QUITS:
            self.master_quits = True
        else:
            super().on_message(message)

    def on_other_run(self) -> None:
        self.link.finish(0)


class LibraryWorkerRunner(WorkerRunner):
    """Joins one run after the other, with the user classes of this program, until the master quits."""

    def __init__(self, environment: Environment, host: str, port: int) -> None:
        """Raises ObswarmError for a host that cannot be resolved."""
        secret, _ = read_secret(None)
        self._endpoint = resolved_endpoint(host, port)
        self._keys = derive_keys(secret) if secret is not None else None
        self._identity = new_identity()
        self.listeners = MessageListeners(environment)
        """Of custom messages, in all runs."""
        self.speed: float | None = None
        """Requests per second of CPU time, measured before the first run."""
        self._is_leaving = False
        super().__init__(environment, self.listeners, self._identity.name, self._to_master, dict, dict)
        self._worker = self._new_worker()
        environment.runner = self
        self.greenlet.add(Supervisor().spawn("The worker of a program", self._serve))

    def take_part(self, worker: Worker, generator: LocalGenerator, scaler: UserScaler) -> None:
        """Show the users of a run."""
        self._users = generator
        self._user_counts = generator.user_counts
        self._user_targets = lambda: scaler.wanted

    def admitted(self, index: int) -> bool:
        """Note the index that the master has given to this process. Returns False: the program fires `init`."""
        super().admitted(index)
        return False

    def close(self) -> None:
        """The end of a run is not that of the runner."""

    def stop(self) -> None:
        """Have the master stop the run. A user that calls it ends there."""
        super().quit()

    def quit(self) -> None:
        """Leave: stop the users of this process, deliver their statistics, and end; the others go on."""
        self._is_leaving = True
        self._worker.departure.leave()
        self._end_caller()

    def _to_master(self, message: Message) -> None:
        self._worker.link.send(message)

    def _new_worker(self) -> _ProgramWorker:
        # A run knows its workers by their incarnation.
        incarnation = new_identity().incarnation
        return _ProgramWorker(self, self._endpoint, self._keys, replace(self._identity, incarnation=incarnation))

    def _serve(self) -> None:
        while True:
            try:
                self._worker.serve()
            except ObswarmError as error:
                logger.error("%s", error)
                return
            if self._worker.master_quits or self._is_leaving:
                return
            self.state, self.worker_index = RunState.READY, -1
            # The master closes the port of the last run first; what is sent there meanwhile is lost.
            gevent.sleep(_PAUSE_S)
            self._worker = self._new_worker()
