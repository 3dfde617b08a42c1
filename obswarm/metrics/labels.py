"""Static labels on every series (`--label team=search`)."""

import re
from collections.abc import Iterable

from obswarm.defaults import MAX_NAME_LENGTH
from obswarm.metrics.contract import CONTRACT
from obswarm.sanitize import is_clean

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED = {label for metric in CONTRACT for label in metric.labels} | {"le", "quantile", "job", "instance"}


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """Parse texts of the form `name=value`. Raises ValueError for names and values that Prometheus does not allow."""
    labels: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise ValueError(f"label {text!r} has no '='; write it as name=value, e.g. team=search")
        if not _NAME.fullmatch(name) or name.startswith("__"):
            raise ValueError(
                f"{name!r} is not a valid label name; use letters, digits and underscores, not starting with a digit or"
                " two underscores"
            )
        if name in _RESERVED:
            raise ValueError(f"label name {name!r} is reserved by obswarm or Prometheus; choose another name")
        if name in labels:
            raise ValueError(f"label {name!r} is given twice")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the value of label {name!r} is not valid UTF-8") from None
        if not value:
            raise ValueError(f"label {name!r} has an empty value; Prometheus treats that as no label")
        if not is_clean(value) or len(value) > MAX_NAME_LENGTH:
            raise ValueError(
                f"the value of label {name!r} contains control characters, or more than {MAX_NAME_LENGTH} characters"
            )
        labels[name] = value
    return labels
