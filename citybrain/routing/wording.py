"""Brings what people write and what rules look for into one form before they are compared."""

import re
import unicodedata

READ = 4000  # characters of a description that rules read: the first words say what it is about
_SPACE = re.compile(r"\s+")
# Chinese is written without spaces; a space beside a Chinese character is an accident of typing.
_STRAY = re.compile(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])")


def normalise(text: str) -> str:
    """NFKC, case folded, runs of white space as one space and none beside Chinese characters."""
    folded = unicodedata.normalize("NFKC", text[:READ]).casefold()
    if folded.isalnum():
        return folded
    return _STRAY.sub("", _SPACE.sub(" ", folded)).strip()


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] is not cut out of a longer Latin word: `ev` does not occur in `level`."""
    if text[start] < "\x80" and start > 0 and _latin(text[start - 1]) and _latin(text[start]):
        return False
    return not (end < len(text) and _latin(text[end - 1]) and _latin(text[end]))


def _latin(character: str) -> bool:
    return character < "\x80" and character.isalnum()
