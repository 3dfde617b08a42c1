"""Guards, which stop, hold or scale a run automatically, and requirements, which are evaluated after the run."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.guards.alert_counts import AlertCounts
    from obswarm.guards.alert_payload import (
        Alert,
        BadPayload,
        Delivery,
        Refusal,
        RefusalReason,
        decode_delivery,
        encode_delivery,
        parse_payload,
    )
    from obswarm.guards.alerts import TOO_MANY, AlertTracker, Verdict, too_many
    from obswarm.guards.conditions import Condition, EngineOperand, When
    from obswarm.guards.custom_values import is_custom, wrong_metric
    from obswarm.guards.evaluator import GuardEvaluator
    from obswarm.guards.grammar import GuardError, parse_condition, parse_when
    from obswarm.guards.guard import Action, Guard, GuardRule, configured_guards, parse_action, with_own_names
    from obswarm.guards.requirements import Requirement, RequirementResult, evaluate_requirements, parse_requirement
    from obswarm.guards.state_machine import GuardStateMachine
    from obswarm.guards.suspects import FindSuspect

__all__ = [
    "TOO_MANY",
    "Action",
    "Alert",
    "AlertCounts",
    "AlertTracker",
    "BadPayload",
    "Condition",
    "Delivery",
    "EngineOperand",
    "FindSuspect",
    "Guard",
    "GuardError",
    "GuardEvaluator",
    "GuardRule",
    "GuardStateMachine",
    "Refusal",
    "RefusalReason",
    "Requirement",
    "RequirementResult",
    "Verdict",
    "When",
    "configured_guards",
    "decode_delivery",
    "encode_delivery",
    "evaluate_requirements",
    "is_custom",
    "parse_action",
    "parse_condition",
    "parse_payload",
    "parse_requirement",
    "parse_when",
    "too_many",
    "with_own_names",
    "wrong_metric",
]
