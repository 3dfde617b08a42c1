"""obswarm on Kubernetes: the objects of a master with its workers, from the same values as the Helm chart.

The values with their defaults, and their schema, are read from `charts/obswarm`. A test compares the objects of
`make_objects` with those of the chart's templates, one by one.
"""

from obswarm.kubernetes.objects import as_yaml, make_objects
from obswarm.kubernetes.release import Release
from obswarm.kubernetes.values import ValuesError, read_values

__all__ = ["Release", "ValuesError", "as_yaml", "make_objects", "read_values"]
