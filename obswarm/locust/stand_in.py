"""Classes of which instances of their base count as instances, too."""

from typing import ClassVar


class StandIn(type):
    """Metaclass of a subclass that only takes other arguments than its base: users and runs have instances of the base,
    which locustfiles take for instances of the subclass."""

    stands_for: ClassVar[type]

    def __instancecheck__(cls, instance: object) -> bool:
        base = cls.__dict__.get("stands_for")
        return super().__instancecheck__(instance) if base is None else isinstance(instance, base)
