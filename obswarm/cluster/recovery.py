"""Workers as a journal keeps them: from a fleet into memories, and back when a master was started again."""

from obswarm import clock
from obswarm.cluster.fleet import Fleet
from obswarm.cluster.journal import Recovered, WorkerMemory
from obswarm.cluster.member import Member, MemberState


def memories(fleet: Fleet) -> dict[str, WorkerMemory]:
    """By incarnation, as of now."""
    now = clock.monotonic()
    return {
        member.incarnation: WorkerMemory(
            name=member.name,
            index=member.index,
            processes=member.processes,
            acked=member.merged,
            stats_age_s=now - member.stats_s,
            cut_off_age_s=None if member.cut_off_s is None else now - member.cut_off_s,
            state=str(member.state),
            capacity=member.capacity,
            cpus=member.cpus,
            users=member.users,
            nodes=list(member.nodes),
        )
        for member in fleet.members.values()
    }


def remember(recovered: Recovered, fleet: Fleet) -> None:
    """Put the workers of a run that is gone on with into its fleet. They have the time to be heard that everybody
    has."""
    now = clock.monotonic()
    recorded_s = now - max(0.0, clock.wall() - recovered.progress.at_wall_s)
    for incarnation, memory in recovered.workers.items():
        fleet.members[incarnation] = Member(
            incarnation=incarnation,
            name=memory.name,
            index=memory.index,
            processes=memory.processes,
            peer=b"",
            capacity=memory.capacity,
            cpus=memory.cpus,
            nodes=tuple(memory.nodes),
            state=MemberState(memory.state),
            acked=memory.acked,
            merged=memory.acked,
            last_sequence=memory.acked,
            heard_s=now,
            stats_s=recorded_s - memory.stats_age_s,
            cut_off_s=None if memory.cut_off_age_s is None else recorded_s - memory.cut_off_age_s,
            users=memory.users,
        )
        fleet.next_index = max(fleet.next_index, memory.index + memory.processes)
