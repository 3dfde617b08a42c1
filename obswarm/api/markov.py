"""MarkovTaskSet: the next task depends on the present one, by weighted transitions."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from obswarm.api.errors import LoadTestError
from obswarm.api.task_declaration import TAGS_ATTRIBUTE
from obswarm.api.tasks import TaskSet

TaskT = TypeVar("TaskT", bound=Callable[..., Any])
TRANSITIONS_ATTRIBUTE = "obswarm_transitions"


def transition(func_name: str, weight: int = 1) -> Callable[[TaskT], TaskT]:
    """Let the task be followed by the one of that name; of several decorators one is chosen by weight."""
    return transitions({func_name: weight})


def transitions(weights: Mapping[str, int] | Sequence[str | tuple[str, int]]) -> Callable[[TaskT], TaskT]:
    """Several @transition in one: a dict of weights, or a list of names and (name, weight)."""
    if isinstance(weights, Mapping):
        pairs = dict(weights)
    else:
        pairs = dict((entry, 1) if isinstance(entry, str) else entry for entry in weights)

    def mark(function: TaskT) -> TaskT:
        setattr(function, TRANSITIONS_ATTRIBUTE, {**getattr(function, TRANSITIONS_ATTRIBUTE, {}), **pairs})
        return function

    return mark


class NoMarkovTasksError(LoadTestError):
    """A MarkovTaskSet has no task with a transition."""


class InvalidTransitionError(LoadTestError):
    """A transition leads to no task, or has a weight that it cannot have."""


class MarkovTaskTagError(LoadTestError):
    """A task of a MarkovTaskSet has tags, so that a transition could lead to a task that is left out."""


class MarkovTaskSet(TaskSet):
    """A TaskSet that walks from task to task along @transition decorators, beginning with the first one declared."""

    abstract: bool = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "abstract" not in cls.__dict__:
            cls.abstract = False
        states: dict[str, Callable[..., Any]] = {}
        for base in reversed(cls.__mro__):
            states.update({name: value for name, value in vars(base).items() if hasattr(value, TRANSITIONS_ATTRIBUTE)})
        if not cls.abstract:
            _check(cls.__name__, states)
        cls.tasks = list(states.values())
        cls._states = states

    _states: Mapping[str, Callable[..., Any]]

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self._next_state = next(iter(self._states), None)

    def _steps_of_an_iteration(self) -> int | None:
        return None

    def get_next_task(self) -> Any:
        if self._next_state is None:
            return super().get_next_task()
        current = self._states[self._next_state]
        ways: dict[str, int] = getattr(current, TRANSITIONS_ATTRIBUTE)
        self._next_state = random.choices(list(ways), list(ways.values()))[0]
        return current


def _check(owner: str, states: Mapping[str, Callable[..., Any]]) -> None:
    if not states:
        raise NoMarkovTasksError(f"{owner} has no transitions. Mark its tasks with @transition or @transitions.")
    for name, function in states.items():
        ways: dict[str, int] = getattr(function, TRANSITIONS_ATTRIBUTE)
        for target, weight in ways.items():
            if target not in states:
                raise InvalidTransitionError(
                    f"{owner}.{name} has a transition to {target!r}, which is no task of {owner}."
                )
            if weight < 0:
                raise InvalidTransitionError(f"{owner}.{name}: the transition to {target!r} has the weight {weight}.")
        if not any(ways.values()):
            raise InvalidTransitionError(f"{owner}.{name} has no transition with a weight above 0.")
        if hasattr(function, TAGS_ATTRIBUTE):
            raise MarkovTaskTagError(
                f"{owner}.{name}: tasks of a MarkovTaskSet cannot have tags; tag the class instead."
            )
