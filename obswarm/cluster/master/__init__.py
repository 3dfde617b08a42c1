"""The master's side of a cluster: which workers there are, which users each has, and what they reported."""
