"""The user classes of scenarios: for each scenario a subclass of each of its classes, which has its own users, load and
statistics."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from obswarm.api import ObswarmError, Scenario, TaskSet, User
from obswarm.api.task_declaration import TAGS_ATTRIBUTE


def checked_scenarios(found: Iterable[object]) -> tuple[Scenario, ...]:
    """Return the scenarios of a load test. Raises ObswarmError for two of the same name, and for one that would start
    after itself or one that does not exist."""
    by_name: dict[str, Scenario] = {}
    for each in found:
        if not isinstance(each, Scenario):
            raise ObswarmError(f"The load-test file's scenarios contain {each!r}; each has to be a Scenario(…).")
        if each.name in by_name:
            raise ObswarmError(f"Two scenarios have the name {each.name!r}; rename one of them.")
        by_name[each.name] = each
    for each in by_name.values():
        _check_order(each, by_name)
    return tuple(by_name.values())


def _check_order(scenario: Scenario, by_name: Mapping[str, Scenario]) -> None:
    seen = [scenario.name]
    while scenario.start_s() is None:
        after = str(scenario.start_after)
        if after not in by_name:
            names = ", ".join(by_name)
            raise ObswarmError(
                f"{scenario.where}: start_after is {after!r}, which is neither a duration like 30s nor one of the"
                f" scenarios {names}."
            )
        if after in seen:
            raise ObswarmError(f"Scenario {after!r} would start after itself: {' → '.join([*seen, after])}.")
        seen.append(after)
        scenario = by_name[after]


def classes_of_scenarios(scenarios: Sequence[Scenario]) -> tuple[type[User], ...]:
    """Return the classes of scenarios, `Visitor (browse)` for the users of Visitor in the scenario browse."""
    return tuple(_class_of(cls, scenario) for scenario in scenarios for cls in scenario.user_classes)


def _class_of(cls: type[User], scenario: Scenario) -> type[User]:
    name = f"{cls.__name__} ({scenario.name})"
    made = _subclass(cls, name, _scenario=scenario)
    if scenario.tags or scenario.exclude_tags:
        include = frozenset(scenario.tags) or None
        made.tasks = _chosen(cls.tasks, include, frozenset(scenario.exclude_tags), frozenset())
        if not made.tasks:
            raise ObswarmError(f"{scenario.where}: no task of {cls.__name__} matches its tags.")
    result: type[User] = made
    return result


def _subclass(cls: type, name: str, **attributes: object) -> Any:
    return type(name, (cls,), {"__module__": cls.__module__, "__doc__": cls.__doc__, **attributes})


def _chosen(
    tasks: Sequence[Any], include: frozenset[str] | None, exclude: frozenset[str], inherited: frozenset[str]
) -> list[Any]:
    """Return the tasks that the tags select, as obswarm.api.filter_by_tags does, with nested TaskSets as subclasses:
    other scenarios may have other tags."""
    chosen: dict[Any, Any] = {}
    for entry in tasks:
        if entry in chosen:
            continue
        tags = inherited | getattr(entry, TAGS_ATTRIBUTE, frozenset())
        if isinstance(entry, type) and issubclass(entry, TaskSet):
            left = _chosen(entry.tasks, include, exclude, tags)
            nested = _subclass(entry, entry.__name__)
            nested.tasks = left
            chosen[entry] = nested if left else None
        else:
            wanted = (include is None or include & tags) and not exclude & tags
            chosen[entry] = entry if wanted else None
    return [chosen[entry] for entry in tasks if chosen[entry] is not None]


def scenarios_in(classes: Iterable[type[User]]) -> list[tuple[Scenario, list[type[User]]]]:
    """Return the scenarios of user classes, each with its classes among these."""
    found: dict[str, tuple[Scenario, list[type[User]]]] = {}
    for cls in classes:
        if cls._scenario is not None:
            found.setdefault(cls._scenario.name, (cls._scenario, []))[1].append(cls)
    return list(found.values())
