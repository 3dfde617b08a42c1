"""JUnit XML for CI systems: a test case for each requirement and each guard."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from obswarm import clock
from obswarm.engine import RunResult
from obswarm.guards import RequirementResult
from obswarm.record import GuardAction, GuardState
from obswarm.report.run_wording import NO_REQUEST_SELECTED
from obswarm.sanitize import escape_controls, escape_lines


def junit_document(result: RunResult, requirement_results: Sequence[RequirementResult]) -> str:
    """Return a JUnit XML document as Ant and Jenkins write it: testsuite, testcase, failure."""
    test = result.final.test
    suite = _element(None, "testsuite", name=f"obswarm {test}", timestamp=clock.iso(result.started_s)[:19])
    failures = skipped = 0
    for requirement_result in requirement_results:
        case = _element(suite, "testcase", classname=f"obswarm.{test}", name=str(requirement_result.requirement))
        if not requirement_result.met:
            failures += 1
            text = f"{requirement_result.requirement.operand} was {requirement_result.shown}"
            _element(case, "failure", text, message=f"{text}; required: {requirement_result.requirement}")
    for guard in result.final.guards:
        case = _element(suite, "testcase", classname=f"obswarm.{test}.guards", name=guard.name)
        if guard.stopped or any(count for action, count in guard.trips if action != GuardAction.NOTIFY):
            failures += 1
            # With the verb, so that a guard whose name starts with this one's does not match.
            prefixes = tuple(f"The guard {guard.name} {did}" for did in ("tripped", "has had no data"))
            annotations = [annotation.text for annotation in result.annotations if annotation.text.startswith(prefixes)]
            did = "stopped the run" if guard.stopped else "tripped"
            message = annotations[0] if annotations else f"The guard {guard.name} {did}."
            _element(case, "failure", "\n".join(annotations), message=message)
        elif guard.state is GuardState.NO_DATA or not guard.matched:
            skipped += 1
            reason = guard.no_data_reason if guard.state is GuardState.NO_DATA else NO_REQUEST_SELECTED
            _element(case, "skipped", message=f"No data: {reason}")
    if result.error is not None:
        failures += 1
        case = _element(suite, "testcase", classname=f"obswarm.{test}", name="run")
        _element(case, "failure", str(result.error), message=str(result.error).partition("\n")[0])
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suite.set("errors", "0")
    suite.set("skipped", str(skipped))
    suite.set("time", f"{result.duration_s:.3f}")
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _element(parent: ElementTree.Element | None, tag: str, text: str = "", **attributes: str) -> ElementTree.Element:
    """Create an element. Control characters and surrogates, which XML 1.0 cannot represent, are escaped with
    backslashes; in attributes, line feeds as well."""
    escaped = {name: escape_controls(value) for name, value in attributes.items()}
    element = ElementTree.Element(tag, escaped) if parent is None else ElementTree.SubElement(parent, tag, escaped)
    element.text = escape_lines(text) or None
    return element
