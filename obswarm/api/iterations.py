"""Limited numbers of iterations, as they are written in settings."""

from collections.abc import Mapping

MOST_ITERATIONS = 2**53
"""JSON's largest exact integer."""
_EXAMPLE = "write a number, like 1000, or one for each user class, like Shopper=100,Browser=50"


def parse_iterations(text: str) -> Mapping[str, int]:
    """Parse a number of iterations, which all user classes share: `1000`, returned under an empty name; or a number
    for each class: `Shopper=100,Browser=50`. Raises ValueError with a sentence, without its full stop."""
    numbers: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = (each.strip() for each in part.rpartition("="))
        if "=" in part and not name:
            raise ValueError(f"{part.strip()!r} has no user class; {_EXAMPLE}")
        if name in numbers:
            raise ValueError(f"{name or text!r} is given twice; {_EXAMPLE}")
        digits = number.replace("_", "")
        if not (digits.isascii() and digits.isdigit() and 1 <= int(digits) <= MOST_ITERATIONS):
            raise ValueError(f"{number!r} is not a number of iterations from 1 to {MOST_ITERATIONS:,}; {_EXAMPLE}")
        numbers[name] = int(digits)
    if "" in numbers and len(numbers) > 1:
        raise ValueError(f"{text!r} has a number without a user class beside others; {_EXAMPLE}")
    return numbers


def format_iterations(numbers: Mapping[str, int]) -> str:
    """Return numbers as the text that parse_iterations reads."""
    return ",".join(f"{name}={number}" if name else str(number) for name, number in numbers.items())
