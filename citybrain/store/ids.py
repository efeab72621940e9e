"""Ids sort by the time they were made: inserts land at the end of every index."""

import uuid_utils


def new_id() -> str:
    return uuid_utils.uuid7().hex
