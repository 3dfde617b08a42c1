"""The values of a release: the chart's defaults, with those of files and of the command line over them."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from obswarm.errors import ObswarmError
from obswarm.resources import shipped

Values = Mapping[str, Any]


class ValuesError(ObswarmError):
    """Values that the chart's schema does not allow, or that cannot be read."""


def chart() -> Path:
    """Return the folder of the Helm chart."""
    return shipped("charts") / "obswarm"


def _need(*modules: str) -> None:
    """Raise ValuesError if a library of the extra is missing."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ValuesError(
            f"Missing for obswarm k8s: {', '.join(missing)}. Install it with: pip install 'obswarm[kubernetes]'"
        )


def read_values(files: Iterable[Path] = (), settings: Iterable[str] = ()) -> dict[str, Any]:
    """Return all values of a release.

    `files` are YAML files like the chart's values.yaml; later ones override earlier ones. `settings` are PATH=VALUE, as
    for `helm --set`, with a value in YAML: workers.replicas=20. Mappings are merged, all else is replaced. Raises
    ValuesError.
    """
    _need("yaml", "jsonschema")
    import yaml

    values: dict[str, Any] = yaml.safe_load((chart() / "values.yaml").read_text(encoding="utf-8"))
    for file in files:
        try:
            given = yaml.safe_load(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValuesError(f"--values {file}: cannot be read: {error.strerror}.") from None
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            raise ValuesError(f"--values {file}: not YAML: {' '.join(str(error).split())}.") from None
        if not isinstance(given, dict | None):
            raise ValuesError(f"--values {file}: has to be a mapping, like the chart's values.yaml.")
        values = _merged(values, given or {})
    for setting in settings:
        values = _merged(values, _nested(setting))
    _check(values)
    return values


def _nested(setting: str) -> dict[str, Any]:
    """Return the mapping that `a.b=1` stands for: {"a": {"b": 1}}."""
    import yaml

    path, sign, text = setting.partition("=")
    names = path.split(".")
    if not sign or not all(names):
        raise ValuesError(f"--set {setting!r}: write it like workers.replicas=20.")
    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValuesError(f"--set {setting!r}: the value is not YAML: {' '.join(str(error).split())}.") from None
    value = "" if value is None else value
    for name in reversed(names):
        value = {name: value}
    return dict(value)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merged(merged[name], value)
        elif value is None:
            # As in Helm: null takes a default away.
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def _check(values: Values) -> None:
    import json

    import jsonschema

    schema = json.loads((chart() / "values.schema.json").read_text(encoding="utf-8"))
    errors = sorted(
        jsonschema.Draft7Validator(schema).iter_errors(values), key=lambda error: list(map(str, error.path))
    )
    if errors:
        where = ".".join(map(str, errors[0].path)) or "the top level"
        raise ValuesError(f"Values of the release, {where}: {errors[0].message}. See the chart's values.yaml.")
    sources = [name for name in ("files", "configMap") if values["loadtests"][name]]
    sources += ["git"] if values["loadtests"]["git"]["url"] else []
    if len(sources) > 1:
        raise ValuesError(f"Values of the release, loadtests: {' and '.join(sources)} are given; give one of them.")
    if values["run"]["enabled"] and not sources:
        raise ValuesError("Values of the release, run: there are no loadtests that it could run; set loadtests.files.")
    if values["ingress"]["enabled"] and not values["ingress"]["host"]:
        raise ValuesError("Values of the release, ingress: it needs a host.")
    scaling = values["workers"]["autoscaling"]
    if scaling["maxReplicas"] < scaling["minReplicas"]:
        raise ValuesError("Values of the release, workers.autoscaling: maxReplicas is below minReplicas.")
