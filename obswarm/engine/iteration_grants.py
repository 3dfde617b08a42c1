"""The iterations that this process has been granted, of those whose number is limited; and the users of the closed
model that run them."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import gevent
from gevent.event import Event

from obswarm import clock
from obswarm.api import ObswarmError, StopUser, User
from obswarm.api.feed import RowSupply
from obswarm.engine.iteration_limit import IterationLimit
from obswarm.feeds.calls import BEGIN, DO_NOT_BEGIN, GRANTED
from obswarm.greenlets import Supervisor
from obswarm.stats import Recorder

_AHEAD_S = 0.5
"""A process asks for as many iterations as it begins in this time."""
_MOST = 100_000
_AGAIN_S = 0.5
"""When none is available, it asks again after this time: another process may die, and lose its own."""


@dataclass(slots=True)
class _Stock:
    """The granted iterations of a limit that have not begun."""

    number: int = 0
    granted: int = 1
    """The last grant above 0."""
    granted_s: float = 0.0
    running: int = 0
    due: int = 0
    """Iterations of the open model that are due, and wait for a grant."""
    users: deque[Event] = field(default_factory=deque)
    """Users of the closed model that wait for one."""
    is_asking: bool = False
    ask_again_s: float = 0.0

    @property
    def waiting(self) -> int:
        return self.due + len(self.users)

    def wake(self) -> None:
        """Have as many users go on as there are iterations."""
        for _ in range(min(self.number, len(self.users))):
            self.users.popleft().set()

    def wanted(self, now: float) -> int:
        """Return how many iterations to ask for."""
        begun = self.granted - self.number
        rate = begun / max(now - self.granted_s, 1e-3)
        return min(max(self.waiting, min(ceil(rate * _AHEAD_S), 2 * self.granted), 1), _MOST)


class IterationGrants:
    """Iterations of this process, `node`, whose number is limited. They are granted through `supply`, and are counted
    by `recorder` when they end. `on_error` is called with an error that ends the run, `on_idle` when none is left to
    begin and none is running."""

    def __init__(
        self,
        limits: Iterable[IterationLimit],
        supply: RowSupply,
        recorder: Recorder,
        node: str,
        supervisor: Supervisor,
        on_error: Callable[[ObswarmError], None],
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._supply = supply
        self._recorder = recorder
        self._node = node
        self._supervisor = supervisor
        self._on_error = on_error
        self._on_idle = on_idle
        self._stocks: dict[str, _Stock] = {}
        self._limit_of: dict[str, str] = {}
        self._classes_of: dict[str, tuple[str, ...]] = {}
        for limit in limits:
            self._stocks[limit.name] = _Stock()
            self._classes_of[limit.name] = limit.user_classes
            self._limit_of.update(dict.fromkeys(limit.user_classes, limit.name))
        self._on_answer: Callable[[tuple[str, ...]], None] = lambda user_classes: None

    def call_at_answers(self, on_answer: Callable[[tuple[str, ...]], None]) -> None:
        """Call a function with the user classes of which iterations have been granted, or refused."""
        self._on_answer = on_answer

    def limits(self, user_class: str) -> bool:
        """Whether the number of iterations of a class is limited."""
        return user_class in self._limit_of

    def _stock_of(self, user_class: str) -> tuple[str, _Stock]:
        name = self._limit_of[user_class]
        return name, self._stocks[name]

    def take(self, user_class: str) -> bool:
        """Take an iteration, to begin it at once. False if none is granted yet; see `may_come`."""
        name, stock = self._stock_of(user_class)
        if not stock.number:
            self._ask(name, stock)
            return False
        stock.number -= 1
        stock.running += 1
        if stock.number <= stock.granted // 2:
            self._ask(name, stock)
        return True

    def may_come(self, user_class: str) -> bool:
        """Whether a request for iterations is under way."""
        return self._stock_of(user_class)[1].is_asking

    def note_due(self, user_class: str, change: int) -> None:
        """Note that more or fewer iterations of the open model are due, and wait for a grant."""
        self._stock_of(user_class)[1].due += change

    def wait(self, user_class: str) -> None:
        """Take an iteration, and wait until one is granted."""
        name, stock = self._stock_of(user_class)
        woken = Event()
        while not self.take(user_class):
            stock.users.append(woken)
            self._ask(name, stock)
            try:
                woken.wait()
            except BaseException:
                # The user is killed. If it was woken, another one goes on in its place.
                if woken.is_set():
                    stock.wake()
                else:
                    stock.users.remove(woken)
                raise
            woken.clear()

    def finish(self, user_class: str, is_done: bool) -> None:
        """End an iteration that was taken. One that is not done is to be begun again."""
        name, stock = self._stock_of(user_class)
        stock.running -= 1
        if is_done:
            self._recorder.record_ended(name, self._node)
            if not stock.running and not stock.number:
                self._on_idle()
        else:
            stock.number += 1
            stock.wake()

    def _ask(self, name: str, stock: _Stock) -> None:
        if stock.is_asking or (not stock.waiting and clock.monotonic() < stock.ask_again_s):
            return
        stock.is_asking = True
        self._supervisor.spawn("A request for iterations", self._request, name, stock)

    def _request(self, name: str, stock: _Stock) -> None:
        try:
            while True:
                gevent.sleep(max(0.0, stock.ask_again_s - clock.monotonic()))
                wanted = stock.wanted(clock.monotonic())
                self._supply.call(BEGIN, name, 0, wanted, lambda answer: self._granted(stock, answer))
                self._on_answer(self._classes_of[name])
                stock.wake()
                if stock.number or not stock.waiting:
                    return
        except ObswarmError as error:
            self._on_error(error)
        finally:
            stock.is_asking = False

    def _granted(self, stock: _Stock, answer: list[Any]) -> None:
        number, now = (answer[1] if answer[0] == GRANTED else 0), clock.monotonic()
        if number:
            stock.granted, stock.granted_s = stock.number + number, now
            stock.number += number
        else:
            stock.ask_again_s = now + _AGAIN_S

    def give_back(self, active: Callable[[str], bool]) -> None:
        """Give back the iterations of limits without an active user class, so that other processes run them. Does not
        block."""
        for name, stock in self._stocks.items():
            if stock.number and not stock.is_asking and not any(map(active, self._classes_of[name])):
                number, stock.number = stock.number, 0
                self._supervisor.spawn("The return of iterations", self._return, name, number)

    def _return(self, name: str, number: int) -> None:
        try:
            self._supply.call(DO_NOT_BEGIN, name, 0, number, lambda answer: None)
        except ObswarmError as error:
            self._on_error(error)


class LimitedUsers:
    """Users of the closed model whose number of iterations is limited: each begins one when it is granted. An
    IterationSource of its users."""

    is_schedule = False

    def __init__(self, grants: IterationGrants) -> None:
        self._grants = grants

    def prepare(self, user: User) -> None:
        """Have a user run limited iterations."""
        user.run_when_due(self)

    # IterationSource.
    def begin(self, user: User) -> None:
        """Wait until the user may begin an iteration."""
        name = type(user).__name__
        user.is_waiting = True
        try:
            self._grants.wait(name)
        finally:
            user.is_waiting = False
        if user.is_stopping:
            self._grants.finish(name, is_done=False)
            raise StopUser

    def finish(self, user: User, is_done: bool) -> None:
        """End an iteration."""
        self._grants.finish(type(user).__name__, is_done)
