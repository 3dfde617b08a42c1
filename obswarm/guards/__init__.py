"""Guards: what stops, holds or scales a run by itself, and requirements that judge it afterwards."""

from obswarm.guards.alert_counts import AlertCounts
from obswarm.guards.alert_payload import (
    Alert,
    BadPayload,
    Delivery,
    Refusal,
    RefusalReason,
    make_kept,
    parse_kept,
    parse_payload,
)
from obswarm.guards.alerts import TOO_MANY, AlertBook, Verdict, too_many
from obswarm.guards.board import GuardBoard
from obswarm.guards.conditions import Condition, When
from obswarm.guards.evaluate import GuardState, GuardWatch
from obswarm.guards.grammar import GuardError, parse_condition, parse_when, split_name
from obswarm.guards.guard import ACTIONS, Action, Guard, GuardRule, parse_action, with_own_names
from obswarm.guards.requirements import Judgement, Requirement, judge, parse_requirement

__all__ = [
    "ACTIONS",
    "TOO_MANY",
    "Action",
    "Alert",
    "AlertBook",
    "AlertCounts",
    "BadPayload",
    "Condition",
    "Delivery",
    "Guard",
    "GuardBoard",
    "GuardError",
    "GuardRule",
    "GuardState",
    "GuardWatch",
    "Judgement",
    "Refusal",
    "RefusalReason",
    "Requirement",
    "Verdict",
    "When",
    "judge",
    "make_kept",
    "parse_action",
    "parse_condition",
    "parse_kept",
    "parse_payload",
    "parse_requirement",
    "parse_when",
    "split_name",
    "too_many",
    "with_own_names",
]
