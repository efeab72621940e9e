"""What a handler may know besides the events: its domain's catalogue, who is responsible where, and the time."""

from dataclasses import dataclass
from datetime import datetime

from citybrain.routing.catalogue import Catalogue
from citybrain.routing.responsibility import Responsibility


@dataclass(frozen=True, slots=True)
class Context:
    catalogue: Catalogue
    responsibility: Responsibility
    now: datetime
