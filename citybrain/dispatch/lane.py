"""An endpoint's lane 分道 in one worker: what is claimed for it and waits for its turn, the gravest first, and how many
messages are on their way at once.

The window of what is on its way opens with every success and halves when the endpoint is overloaded or silent, as that
of TCP does. What is claimed ahead is as much as goes out in two seconds, so that another county waits no longer than
that for its turn (what is graver overtakes), and a dead endpoint holds a handful of messages and never a worker.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

from citybrain.dispatch.sender import MEANS_LATER, Outcome

START, WIDEST = 4, 32
DEEPEST = 1_000
AHEAD_SECONDS = 2.0
GRAVE = 2  # grades Ⅰ and Ⅱ overtake
FOR_THE_GRAVE = 16  # places beyond those that all may use
OLD, NEW = 0.8, 0.2  # how much the last duration says about the next one

_numbers = count()


@dataclass(slots=True)
class Lane:
    window: float = START
    threshold: float = WIDEST  # beyond it the window opens slowly
    seconds: float | None = None  # an attempt takes
    claimed: int = 0  # waiting, on its way, or arrived and not yet recorded
    sending: int = 0
    silent: int = 0  # attempts in a row that found nobody, or nobody with time
    _waiting: list[tuple[int, int, Any]] = field(default_factory=list)

    def room(self, grave: bool = False) -> int:
        """How many more may be claimed."""
        return max(self._depth() + (FOR_THE_GRAVE if grave else 0) - self.claimed, 0)

    def add(self, grade: int, item: Any) -> None:
        heappush(self._waiting, (rank(grade), next(_numbers), item))

    def next(self) -> Any | None:
        """What goes now, if anything may."""
        if not self._waiting or self.sending >= int(self.window):
            return None
        self.sending += 1
        return heappop(self._waiting)[2]

    def clear(self) -> list[Any]:
        """All that waits: none of it should use up a try now."""
        waiting, self._waiting = self._waiting, []
        return [item for _, _, item in waiting]

    def ended(self, outcome: Outcome) -> None:
        """An attempt has ended, or its turn came too late."""
        self.sending -= 1
        if outcome.kind == "late":
            return
        taken = outcome.duration_ms / 1000
        self.seconds = taken if self.seconds is None else OLD * self.seconds + NEW * taken
        if outcome.kind == "delivered":
            self.silent = 0
            if self._waiting:  # or it was wide enough
                self.window = min(self.window + (1 if self.window < self.threshold else 1 / self.window), WIDEST)
        elif outcome.status is None or outcome.status in MEANS_LATER:
            self.silent += 1
            self.window = max(self.window / 2, 1.0)
            self.threshold = max(self.window, 2.0)

    def _depth(self) -> int:
        if self.seconds is None or self.silent:
            return int(self.window)
        ahead = self.window * AHEAD_SECONDS / max(self.seconds, 0.0001)
        return min(max(int(ahead), int(self.window)), DEEPEST)


def rank(grade: int) -> int:
    """Ⅰ before Ⅱ before all others, among which nobody overtakes."""
    return min(grade, GRAVE + 1)
