"""`locust.env`: the environment of a run, also of one that a program makes itself, without the command."""

from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import Any, TypeVar

from obswarm import api
from obswarm.api import Events, LoadTestShape, ObswarmError, User
from obswarm.cluster import DEFAULT_PORT
from obswarm.engine import Runner
from obswarm.locust.exception import RunnerAlreadyExistsError
from obswarm.locust.library import LibraryMaster, LibraryRunner
from obswarm.locust.library_worker import LibraryWorkerRunner
from obswarm.locust.stand_in import StandIn
from obswarm.stats import Recorder

__all__ = ["Environment"]

Made = TypeVar("Made", bound=Runner)

_INSTEAD_OF_WEB = {
    "web_base_path": "the page is at the root of its server; a proxy may give it another path",
    "web_login": "set OBSWARM_WEB_AUTH=USER:PASSWORD or OBSWARM_WEB_TOKEN_FILE=FILE, and the page asks for them",
    "build_path": "the page is obswarm's own; add routes to the app of what create_web_ui returns",
}


class Environment(api.Environment, metaclass=StandIn):
    """An environment with the arguments that Locust's has, for programs that make runs in their own process."""

    stands_for = api.Environment

    def __init__(
        self,
        *,
        user_classes: Sequence[type[User]] | None = None,
        shape_class: LoadTestShape | None = None,
        tags: Sequence[str] | None = None,
        locustfile: str | None = None,
        exclude_tags: Sequence[str] | None = None,
        events: Events | None = None,
        host: str | None = None,
        reset_stats: bool = False,
        stop_timeout: float | None = None,
        catch_exceptions: bool = True,
        parsed_options: Namespace | None = None,
        parsed_locustfiles: list[str] | None = None,
        available_user_classes: dict[str, type[User]] | None = None,
        available_shape_classes: dict[str, LoadTestShape] | None = None,
        available_user_tasks: dict[str, list[Any]] | None = None,
        dispatcher_class: Any = None,
        profile: str | None = None,
    ) -> None:
        """Classes with the weight 0 are left out. `dispatcher_class` has no effect: users are distributed by weight.

        Raises ValueError for classes of the same name, without a class of a weight above 0, and for a shape that is no
        instance of LoadTestShape.
        """
        classes = _checked_classes(user_classes or [])
        if shape_class is not None and not isinstance(shape_class, LoadTestShape):
            raise ValueError(f"shape_class has to be an instance of a LoadTestShape, not {shape_class!r}")
        if stop_timeout is None:
            stop_timeout = getattr(parsed_options, "stop_timeout", None)
        super().__init__(
            events=events if events is not None else Events(),
            recorder=Recorder(),
            user_classes=classes,
            shape_class=shape_class,
            host=host,
            stop_timeout=stop_timeout or 0,
            parsed_options=parsed_options,
            catch_exceptions=catch_exceptions,
            locustfile=locustfile,
            tags=list(tags) if tags is not None else None,
            exclude_tags=list(exclude_tags) if exclude_tags is not None else None,
            reset_stats=reset_stats,
            parsed_locustfiles=parsed_locustfiles,
            available_user_classes=available_user_classes,
            available_shape_classes=available_shape_classes,
            profile=profile,
        )
        if available_user_tasks is not None:
            self.available_user_tasks = available_user_tasks
        self.dispatcher_class = dispatcher_class

    def create_local_runner(self) -> LibraryRunner:
        """Return the runner of a load test in this process; `runner.start(users, spawn_rate)` begins it.

        Raises RunnerAlreadyExistsError when there is one.
        """
        self._check_that_there_is_none()
        return self._with_shape(LibraryRunner(self))

    def create_master_runner(self, master_bind_host: str = "*", master_bind_port: int = DEFAULT_PORT) -> LibraryMaster:
        """Return the runner of a load test with workers, which other programs make by `create_worker_runner`.

        With a secret in OBSWARM_SECRET, `*` is all interfaces; without one, only 127.0.0.1. Raises
        RunnerAlreadyExistsError when there is a runner, ObswarmError if the address cannot be listened on, or is one
        that other machines reach, without a secret.
        """
        self._check_that_there_is_none()
        return self._with_shape(LibraryMaster(self, master_bind_host, master_bind_port))

    def create_worker_runner(self, master_host: str, master_port: int) -> LibraryWorkerRunner:
        """Return the runner of a worker for the master at that address, with the user classes of this environment.

        Raises RunnerAlreadyExistsError when there is a runner, ObswarmError if the host cannot be resolved.
        """
        self._check_that_there_is_none()
        return LibraryWorkerRunner(self, master_host, master_port)

    def _check_that_there_is_none(self) -> None:
        if self.runner is not None:
            raise RunnerAlreadyExistsError(f"Environment.runner already exists ({self.runner})")

    def _with_shape(self, runner: Made) -> Made:
        if self.shape_class is not None:
            self.shape_class.runner = runner
        return runner

    def create_web_ui(
        self,
        host: str = "",
        port: int = 8089,
        web_base_path: str | None = None,
        web_login: bool = False,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        stats_csv_writer: Any = None,
        delayed_start: bool = False,
        userclass_picker_is_active: bool = False,
        build_path: str | None = None,
    ) -> Any:
        """Serve the page, which starts, changes and stops runs, and return it: its `app` is a Flask application, to
        which the program may add routes, and `stop()` ends it. With `delayed_start`, it is served after `start()`.

        Without OBSWARM_WEB_AUTH=USER:PASSWORD or OBSWARM_WEB_TOKEN_FILE=FILE, an empty `host` is 127.0.0.1, with one
        of them all interfaces. `stats_csv_writer` and `userclass_picker_is_active` have no effect. Raises ObswarmError
        if the address cannot be listened on, or is one that other machines reach, without access control, and for
        `web_base_path`, `web_login` and `build_path`.
        """
        for name, value in (("web_base_path", web_base_path), ("web_login", web_login), ("build_path", build_path)):
            if value:
                raise ObswarmError(f"create_web_ui({name}=…) is not possible: {_INSTEAD_OF_WEB[name]}.")
        # The page is composed of parts that know of this package, in one above it.
        page = import_module("obswarm.app.library_page").LibraryWebUI(self, host, port, tls_cert, tls_key)
        if not delayed_start:
            page.start()
        return page


def _checked_classes(classes: Sequence[type[User]]) -> list[type[User]]:
    """Return the classes of which there are users. Raises ValueError."""
    chosen = [cls for cls in classes if cls.weight > 0 or cls.fixed_count > 0]
    if classes and not chosen:
        raise ValueError("There are no users with weight > 0.")
    if len({cls.__name__ for cls in chosen}) < len(chosen):
        names = ", ".join(cls.fullname() for cls in chosen)
        raise ValueError(f"The following user classes have the same class name: {names}")
    return chosen
