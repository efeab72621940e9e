"""Ids sort by the time they were made: inserts land at the end of every index."""

import uuid_utils


def earliest_id(at: int) -> str:
    """No id that was made at `at`, in ms, or later is less."""
    return f"{max(at, 0):012x}"


def new_id() -> str:
    return uuid_utils.uuid7().hex
