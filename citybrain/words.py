"""What people write as a reason or a note, at every door that asks for one: something that can be read."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError


def readable(text: str) -> str:
    """Characters that nobody sees, as a zero-width space, are no reason."""
    if all(unicodedata.category(each)[0] in "CZ" for each in text):
        raise PydanticCustomError("unreadable", "it has no character that can be read")
    return text


Words = Annotated[
    str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=2000), AfterValidator(readable)
]
Sentence = Annotated[
    str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=500), AfterValidator(readable)
]
