"""Where the coverage page stands among the city's divisions and levels, and where one can go from there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from citybrain.city import City
from citybrain.console.choices import Group, Option
from citybrain.console.texts import named, word
from citybrain.indicators.scope import Scope, levels_of, may_see, scope_of
from citybrain.keys import Key
from geo.divisions import Division


def level_name(city: City, level: str) -> str:
    """As the city's pack calls it; the city as a whole by its own name."""
    table = city.levels.get(level)
    return named(table or city.file.city)


def home(key: Key, city: City) -> str:
    """Where one begins: the whole city, or the coarsest division of the key."""
    levels = levels_of(city)
    own = [each for code in key.divisions if (each := city.divisions.get(code)) and each.level in levels]
    first = min(own, key=lambda each: (levels.index(each.level), each.code), default=None)
    return first.code if first else city.file.city.code


@dataclass(frozen=True, slots=True)
class Standing:
    """`own` is the division that was asked for, `chosen` the level it is looked at by."""

    chosen: Scope
    own: Division
    key: Key

    def ladder(self) -> Iterator[Scope]:
        """A scope for every level that can be told from here: what contains the division, itself, all those inside."""
        city, basis = self.chosen.city, self.chosen.basis.code
        levels, path = levels_of(city), city.divisions.path(self.own.code)
        for level in levels:
            if levels.index(level) >= levels.index(self.own.level):
                scope = scope_of(city, self.key, level, self.own.code, basis)
                if scope.divisions or level == self.chosen.level:
                    yield scope
            elif level in path and may_see(city, self.key, path[level]):
                yield scope_of(city, self.key, level, path[level], basis)

    def above(self) -> list[Division]:
        """What contains the division, coarse to fine."""
        path = self.chosen.city.divisions.path(self.own.code)
        return self._shown(code for code in path.values() if code != self.own.code)

    def nearby(self) -> list[Group]:
        """Up, aside, down: anywhere in a few steps, without a list of thousands."""
        divisions = self.chosen.city.divisions
        beside = [each.code for each in divisions.children(self.own.parent_code) if each.level == self.own.level]
        below = [each.code for each in divisions.children(self.own.code)]
        groups = {
            "above": self.above(),
            "beside": self._shown(beside or [self.own.code]),
            "below": self._shown(below),
            "own": self._shown(code for code in sorted(self.key.divisions) if code not in beside),
        }
        return [
            Group(word("nearby", name), [Option(each.code, each.name) for each in rows])
            for name, rows in groups.items()
            if rows
        ]

    def _shown(self, codes: Iterable[str]) -> list[Division]:
        city = self.chosen.city
        found = [each for code in codes if (each := city.divisions.get(code))]
        return [each for each in found if each.level in levels_of(city) and may_see(city, self.key, each.code)]
