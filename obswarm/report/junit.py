"""JUnit's XML for CI systems: a test case for each requirement and each guard."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from obswarm import clock
from obswarm.engine import RunResult
from obswarm.guards import Judgement


def junit_document(result: RunResult, judgements: Sequence[Judgement]) -> str:
    """In the form that the Ant and Jenkins reports have: testsuite, testcase, failure."""
    test = result.final.test
    suite = ElementTree.Element("testsuite", name=f"obswarm {test}", timestamp=clock.iso(result.started_s)[:19])
    failures = 0
    for judgement in judgements:
        case = ElementTree.SubElement(suite, "testcase", classname=f"obswarm.{test}", name=str(judgement.requirement))
        if not judgement.met:
            failures += 1
            text = f"{judgement.requirement.operand} was {judgement.shown}"
            ElementTree.SubElement(case, "failure", message=f"{text}; required: {judgement.requirement}").text = text
    for guard in result.final.guards:
        case = ElementTree.SubElement(suite, "testcase", classname=f"obswarm.{test}.guards", name=guard.name)
        if any(count for action, count in guard.trips if action != "notify"):
            failures += 1
            marks = [mark.text for mark in result.annotations if guard.name in mark.text]
            message = marks[0] if marks else f"The guard {guard.name} tripped."
            ElementTree.SubElement(case, "failure", message=message).text = "\n".join(marks)
    if result.error is not None:
        failures += 1
        case = ElementTree.SubElement(suite, "testcase", classname=f"obswarm.{test}", name="run")
        ElementTree.SubElement(case, "failure", message=str(result.error).splitlines()[0]).text = str(result.error)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suite.set("errors", "0")
    suite.set("time", f"{result.duration_s:.3f}")
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
