"""Under which `source_event_id` a foreign message stands: what its sender's format takes for its identity."""

import hashlib

LONGEST = 128  # as a report's own


def foreign_id(*parts: str) -> str:
    """The same parts give the same id, others another: joined as they are where that fits, else hashed."""
    joined = " ".join(parts)
    if len(joined) <= LONGEST and not any(part != part.strip() or " " in part for part in parts):
        return joined
    return f"sha256:{hashlib.sha256(repr(parts).encode()).hexdigest()}"
