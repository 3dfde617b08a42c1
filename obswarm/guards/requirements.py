"""Requirements: conditions that the whole run has to meet, for CI jobs."""

from dataclasses import dataclass, replace

from obswarm.api import ObswarmError
from obswarm.guards.conditions import Condition, EngineOperand
from obswarm.guards.grammar import parse_condition
from obswarm.guards.guard import format_operand_value
from obswarm.guards.operands import REQUIREMENT_OPERANDS, SCENARIO, definition_of, value_of_run
from obswarm.record import Snapshot


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition that has to be true of the whole run: `p95{name="/login"} < 500ms`."""

    condition: Condition

    def __str__(self) -> str:
        return str(self.condition)

    @property
    def operand(self) -> EngineOperand:
        operand = self.condition.operand
        assert isinstance(operand, EngineOperand)
        return operand

    def of(self, scenario: str) -> "Requirement":
        """Return the same requirement for the requests of a scenario alone. Raises ObswarmError if its operand is not
        about requests, or of another scenario."""
        operand = self.operand
        if SCENARIO not in definition_of(operand).labels or SCENARIO in dict(operand.labels):
            raise ObswarmError(f"{operand} cannot be that of a scenario; use --require for the whole run.")
        own = EngineOperand(operand.metric, (*operand.labels, (SCENARIO, scenario)))
        return Requirement(replace(self.condition, operand=own))


@dataclass(frozen=True, slots=True)
class RequirementResult:
    """The result of a requirement. `value` is in the operand's base unit; None if there is none, which fails it."""

    requirement: Requirement
    met: bool
    value: float | None

    @property
    def shown(self) -> str:
        """The formatted value."""
        return (
            "nothing measured" if self.value is None else format_operand_value(self.requirement.condition, self.value)
        )


def parse_requirement(text: str) -> Requirement:
    """Parse a requirement. Raises ObswarmError, with a caret under the position of a syntax error."""
    condition = parse_condition(text)
    operand = condition.operand
    if not isinstance(operand, EngineOperand) or definition_of(operand).run is None:
        allowed = ", ".join(REQUIREMENT_OPERANDS)
        raise ObswarmError(f"{operand} has no value for a whole run; requirements take {allowed}.")
    return Requirement(condition)


def evaluate_requirements(requirements: list[Requirement], final: Snapshot) -> list[RequirementResult]:
    """Evaluate requirements with the last snapshot of a run."""
    results = []
    for requirement in requirements:
        value = value_of_run(requirement.operand, final)
        results.append(RequirementResult(requirement, value is not None and requirement.condition.holds(value), value))
    return results
