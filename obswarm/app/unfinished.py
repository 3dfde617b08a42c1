"""Runs that did not end properly: their state and partial result are saved in separate files, named in a message."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from obswarm import clock, defaults
from obswarm.api import ObswarmError
from obswarm.cluster import Recovered, check_free, read_journal, result_of_recovered
from obswarm.config import RunConfig
from obswarm.engine import PartialResult, RunResult, new_run_id
from obswarm.errors import reason_of
from obswarm.json_text import to_json
from obswarm.report import result_document
from obswarm.streams import echo, write_to_file
from obswarm.units import counted, format_duration

logger = logging.getLogger(__name__)

Recover = Callable[[RunConfig, str], Recovered | None]
"""Finds the run to continue, from the configuration and the digest of the load test."""

_FIT_FOR_A_FILE = re.compile(r"[\w.-]{1,100}")


class CannotGoOn(ObswarmError):
    """A run cannot be continued from its state."""


def found_run(state: Path, max_endpoints: int) -> Recovered | None:
    """Return the run in the state file, None if there is none, or it cannot be read."""
    try:
        return read_journal(state, max_endpoints)
    except ObswarmError:
        return None


def recover_run(config: RunConfig, digest: str) -> Recovered | None:
    """Return the run to continue, None without one. The state of a run that cannot be continued is moved to a separate
    file, not removed. Raises ObswarmError."""
    state, fresh, max_endpoints = config.cluster.state_path, config.cluster.fresh, config.load.max_endpoints
    if state.exists():
        # Never use the state of a running master.
        check_free(*config.cluster.bind)
    try:
        found = read_journal(state, max_endpoints)
    except ObswarmError:
        if not fresh:
            raise
        found = None
    if found is None:
        if fresh and (text := put_aside(state, max_endpoints)) is not None:
            echo(f"Warning: {text}", err=True)
        return None
    if not fresh and _may_go_on(config, found):
        if found.digest == digest:
            return found
        age_s = clock.wall() - found.progress.at_wall_s
        raise ObswarmError(
            f"The run {found.run_id} was left {format_duration(round(age_s))} ago by a master with another load test or"
            f" other options (see {state}), and its workers may still be running. Use the same load test and options to"
            " continue it, or --fresh to start a new run."
        )
    echo(f"Warning: {put_aside(state, max_endpoints)}", err=True)
    return None


def _may_go_on(config: RunConfig, found: Recovered) -> bool:
    """Whether workers of an unfinished run may still be waiting for its master."""
    age_s = clock.wall() - found.progress.at_wall_s
    return age_s <= config.cluster.orphan_timeout + defaults.GIVE_UP_AFTER_S


def rates_of_unfinished(config: RunConfig) -> Mapping[str, str]:
    """Return the rates that the run to continue has read from a Prometheus, by query. `recover_run` tells what is wrong
    with its state."""
    if config.cluster.fresh:
        return {}
    found = found_run(config.cluster.state_path, config.load.max_endpoints)
    return found.queried_rates if found is not None and _may_go_on(config, found) else {}


def recover_begun(config: RunConfig, digest: str) -> Recovered | None:
    """Return the run that an earlier process of the service has started, to continue it; None if it has no measurements
    yet. Raises CannotGoOn."""
    found = found_run(config.cluster.state_path, config.load.max_endpoints)
    if found is None:
        # Also if the state cannot be read; it is replaced then.
        return None
    if found.digest != digest:
        raise CannotGoOn("The master was restarted, and the load test has changed.")
    if not _may_go_on(config, found):
        age_s = clock.wall() - found.progress.at_wall_s
        raise CannotGoOn(f"The master was down for {format_duration(round(age_s))}, and its workers have given up.")
    return found


def best_of(seen: PartialResult, found: Recovered | None, detail: str, text: str) -> RunResult | None:
    """Return the partial result of a run that crashed, from its outputs or from its state, whichever has more."""
    result = seen.result(detail, text)
    if found is None:
        return result
    stored = result_of_recovered(found, detail, text)
    if result is None or stored.run_id != result.run_id:
        return stored if result is None else result
    return stored if stored.ended_s > result.ended_s and stored.requests_made >= result.requests_made else result


def put_aside(state: Path, max_endpoints: int, why: str = "its master was killed, or crashed") -> str | None:
    """Move the state file to a separate file; returns a message about it, None if there is no state."""
    try:
        found = read_journal(state, max_endpoints)
    except ObswarmError:
        where = _move(state, f"unreadable-{new_run_id(clock.wall())}")
        return f"{state} was not the state of a run that this version can read; its contents {_saved(where)}."
    if found is None:
        return None
    result = result_of_recovered(found, why)
    where = [*write_beside(state, result), *_move(state, found.run_id)]
    return f"The run {found.run_id} did not end properly: {why.rstrip('.')}. {measured(result)} {_saved(where)}."


def measured(result: RunResult) -> str:
    """Return the subject of a sentence about the place of the measurements."""
    measured = format_duration(round(result.duration_s))
    return f"Its measurements of {measured} ({counted(result.final.total.requests, 'request')})"


def write_beside(state: Path, result: RunResult) -> list[Path]:
    """Write a result to the state file's folder; returns its path, nothing if it cannot be written."""
    path = state.with_name(f"{_file_name(result.run_id)}.json")
    try:
        write_to_file(str(path), to_json(result_document(result), indent=2) + "\n")
    except OSError as error:
        logger.warning("The result of the run %s cannot be written to %s: %s.", result.run_id, path, reason_of(error))
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return []
    return [path]


def _saved(where: list[Path]) -> str:
    return f"are in {' and '.join(map(str, where))}" if where else "could not be saved"


def _move(state: Path, name: str) -> list[Path]:
    aside = state.with_name(f"{_file_name(name)}.run")
    try:
        os.replace(state, aside)
    except OSError as error:
        logger.warning("%s cannot be moved to %s: %s.", state, aside, reason_of(error))
        return [state] if os.path.lexists(state) else []
    return [aside]


def _file_name(run_id: str) -> str:
    return run_id if _FIT_FOR_A_FILE.fullmatch(run_id) else new_run_id(clock.wall())
