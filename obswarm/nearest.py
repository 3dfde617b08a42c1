"""Names that resemble a mistyped one, for errors. difflib is imported when there is one to correct."""

from collections.abc import Iterable


def nearest_names(word: str, names: Iterable[str], most: int = 1, min_similarity: float = 0.6) -> list[str]:
    """Return at most `most` of the names that resemble the word, the most similar first; see
    difflib.get_close_matches."""
    import difflib

    return difflib.get_close_matches(word, list(names), most, min_similarity)
