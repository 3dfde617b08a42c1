"""The order in which the rows of a feed are handed out: a function of the position, so that nothing else is stored.

Position 0 is the first row that is handed out, whatever its number in the file is.
"""

from hashlib import blake2b

_ROUNDS = 4


def row_number(policy: str, seed: int, count: int, position: int) -> int:
    """Return the number of the row, from 0 to `count` - 1, at a position.

    `shuffle` has each row once in each round of `count` positions, every round in another order; `random` draws each
    row anew.
    """
    if policy == "random":
        return _hash(seed, 0, position) % count
    turn, place = divmod(position, count)
    return _permuted(seed, turn, count, place) if policy == "shuffle" else place


def _permuted(seed: int, turn: int, count: int, place: int) -> int:
    """Return where a permutation of 0 to `count` - 1 moves a place, without a table of it.

    A Feistel network permutes the numbers of an even number of bits; a result that is too large is permuted again until
    it is not (cycle walking; Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains").
    """
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = place >> half, place & mask
        for number in range(_ROUNDS):
            left, right = right, left ^ (_hash(seed, turn * _ROUNDS + number + 1, right) & mask)
        place = left << half | right
        if place < count:
            return place


def _hash(seed: int, what: int, value: int) -> int:
    key = f"{seed} {what} {value}".encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "little")
