"""Static labels that the user puts on every series (`--label team=search`)."""

import re
from collections.abc import Iterable

from obswarm.defaults import MAX_NAME_LENGTH
from obswarm.metrics.contract import CONTRACT
from obswarm.sanitize import is_clean

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN = {label for metric in CONTRACT for label in metric.labels} | {"le", "quantile", "job", "instance"}


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """`name=value` each. Raises ValueError with a sentence for names and values that Prometheus does not allow."""
    labels: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise ValueError(f"{text!r} has no equals sign; write a label as name=value, like team=search")
        if not _NAME.fullmatch(name) or name.startswith("__"):
            raise ValueError(
                f"{name!r} cannot be a label's name; letters, digits and underscores are allowed, no digit first and"
                " not two underscores"
            )
        if name in _TAKEN:
            raise ValueError(f"the label {name!r} is used by obswarm or Prometheus itself; choose another name")
        if name in labels:
            raise ValueError(f"the label {name!r} is given twice")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the value of the label {name!r} is not valid UTF-8") from None
        if not value:
            raise ValueError(f"the label {name!r} has no value; for Prometheus that is no label")
        if not is_clean(value) or len(value) > MAX_NAME_LENGTH:
            raise ValueError(
                f"the value of the label {name!r} has control characters, or more than {MAX_NAME_LENGTH} characters"
            )
        labels[name] = value
    return labels
