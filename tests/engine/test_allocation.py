import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import ObswarmError, User, task
from obswarm.engine.allocation import ClassWeight, allocate, weight_of

shares = st.lists(st.tuples(st.integers(0, 20), st.sampled_from([0, 0, 0, 1, 5])), min_size=1, max_size=6).map(
    lambda pairs: [ClassWeight(f"c{i}", weight, fixed) for i, (weight, fixed) in enumerate(pairs)]
)


@given(shares, st.integers(0, 500))
def test_every_user_is_given_out_and_one_more_user_takes_none_away(shares: list[ClassWeight], total: int) -> None:
    now, more = allocate(total, shares), allocate(total + 1, shares)
    fixed = sum(share.fixed_count for share in shares)
    if any(share.weight and not share.fixed_count for share in shares):
        assert sum(now.values()) == total
    else:
        assert sum(now.values()) == min(total, fixed)
    assert all(more[name] >= count for name, count in now.items())


@given(shares, st.integers(1, 50))
def test_weights_are_exact_whenever_the_total_divides(shares: list[ClassWeight], times: int) -> None:
    weighted = [share for share in shares if share.weight and not share.fixed_count]
    fixed = sum(share.fixed_count for share in shares)
    counts = allocate(fixed + times * sum(share.weight for share in weighted), shares)
    assert all(counts[share.name] == times * share.weight for share in weighted)
    assert all(counts[share.name] == share.fixed_count for share in shares if share.fixed_count)


def test_fixed_counts_come_first() -> None:
    assert allocate(3, [ClassWeight("a", 10, 0), ClassWeight("b", 1, 2)]) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("weight", -1), ("weight", float("nan")), ("weight", True), ("fixed_count", 1.5), ("fixed_count", "2")],
)
def test_a_class_with_a_nonsensical_share_is_named(attribute: str, value: object) -> None:
    class Visitor(User):
        @task
        def nothing(self):
            pass

    setattr(Visitor, attribute, value)
    with pytest.raises(ObswarmError, match=rf"Visitor\.{attribute} is"):
        weight_of(Visitor)


def test_weights_may_be_parts() -> None:
    half = type("Half", (User,), {"weight": 0.5, "abstract": True})
    tenth = type("Tenth", (User,), {"weight": 0.1, "abstract": True})
    one = type("One", (User,), {"abstract": True})
    shares = [weight_of(cls) for cls in (half, tenth, one)]
    assert allocate(16, shares) == {"Half": 5, "Tenth": 1, "One": 10}
    assert allocate(160, shares) == {"Half": 50, "Tenth": 10, "One": 100}
