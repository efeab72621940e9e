"""How fast one source may post: a bucket of tokens for each key, refilled by the second."""

from citybrain.clock import Clock
from citybrain.problem import Problem


class Rates:
    """`per_second` events may flow for good, `burst` at once; counted in this process."""

    def __init__(self, per_second: float, burst: float, clock: Clock) -> None:
        self._per_ms, self._burst, self._clock = per_second / 1000, burst, clock
        self._buckets: dict[str, tuple[float, int]] = {}

    def take(self, name: str, count: int) -> None:
        """Raises Problem 429, with when to come again, if the bucket does not hold that many."""
        now = self._clock()
        level, at = self._buckets.get(name, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_ms)
        if count > level and level < self._burst:
            seconds = int((min(count, self._burst) - level) / self._per_ms / 1000) + 1
            raise Problem(429, f"too fast: {count} event(s) more than this key may post now", retry_after=seconds)
        self._buckets[name] = (level - count, now)
