"""Which worker is told to have which users."""

from collections.abc import Mapping, Sequence

from obswarm.cluster.dispatch import Balance, distribute
from obswarm.cluster.member import Member
from obswarm.cluster.protocol import Assign

_MOVE_S = 1.0
"""How long the users of a worker take to get to others: they are new users there, and not all of them at once."""


class Assignments:
    """Gives users out to workers, by their weights in `balance`. `number` is that of the last assignment."""

    def __init__(self, balance: Balance) -> None:
        self.balance = balance
        self.number = 0

    def give_out(self, ready: Sequence[Member], wanted: Mapping[str, int], rate: float) -> list[tuple[Member, Assign]]:
        """Make a new assignment, to be reached at that many users per second over all workers.

        Returns what to tell the workers whose users have changed.
        """
        self.number += 1
        if not ready:
            return []
        by_incarnation = {member.incarnation: member for member in ready}
        weights = self.balance.weights({incarnation: member.capacity for incarnation, member in by_incarnation.items()})
        whole = sum(weights.values())
        present = {incarnation: member.assigned or member.users for incarnation, member in by_incarnation.items()}
        messages = []
        for incarnation, users in distribute(wanted, weights, present).items():
            member = by_incarnation[incarnation]
            if users == member.assigned and member.assign_number:
                continue
            moves = sum(abs(number - member.assigned.get(name, 0)) for name, number in users.items())
            share = rate * weights[incarnation] / whole
            # More than its share falls to a worker when others have gone, or it has come: in a moment, then.
            share = max(share, moves / _MOVE_S)
            member.assigned = users
            member.assign_number = self.number
            messages.append((member, Assign(self.number, users, share)))
        return messages
