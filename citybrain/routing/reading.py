"""Reads an event's title and description: which terms of the domain occur, where, and whether they say what is wrong.

After the catalogue is made and before the rules choose a type.
"""

from typing import NamedTuple

from citybrain.routing.catalogue import TOGETHER, Catalogue, Term
from citybrain.routing.report import Filed
from citybrain.routing.wording import normalise, stands_alone

REACH = 5  # letters that each letter of a term may bridge: `路&油` must stand nearer than `工地&半夜`
FARTHEST = 24  # letters between the words of any term; further apart they speak of different things
SIGN_AFTER, SIGN_BEFORE = 12, 4  # letters between a thing and the sign of what is wrong with it
OFTEN = 20  # places of one word that are looked at

Span = tuple[int, int]
Words = dict[str, list[Span]]


class Match(NamedTuple):
    """A term as it occurs: `words` as in `椅子&坏`, their places in the text and that of the sign of what is wrong;
    `weak` says why it decides nothing."""

    words: str
    places: tuple[Span, ...]
    sign: tuple[Span, ...] = ()
    weak: str | None = None


class Reading(NamedTuple):
    """An event's text, normalised, and the words of the catalogue in it. The title ends at `end_of_title`; where there
    is none, the description stands in for it."""

    text: str
    end_of_title: int
    words: tuple[str, ...]
    matches: dict[Term, Match]


def read(event: Filed, catalogue: Catalogue) -> Reading:
    title = normalise(event.title)
    text = f"{title}\n{normalise(event.description)}" if event.description else title
    words = _words(text, catalogue)
    signs = [span for word, spans in words.items() if word in catalogue.signs for span in spans]
    matches: dict[Term, Match] = {}
    for word in words:
        for term in catalogue.terms_of_word.get(word, ()):
            if term in matches:
                continue
            if len(term.groups) == 1:
                match: Match | None = Match(word, tuple(words[word][:OFTEN]))
            elif any(map(words.keys().isdisjoint, term.groups)):
                continue
            else:
                match = _together(term, words)
            if match is not None:
                matches[term] = _as_thing(match, text, signs, catalogue) if term.thing else match
    return Reading(text, len(title) or len(text), tuple(words), matches)


def _words(text: str, catalogue: Catalogue) -> Words:
    """The words of the catalogue in a text and their places. A single letter inside a longer one of them says nothing
    of its own, `油` in `柏油`; only a sign does, `破` in `破损`."""
    words: Words = {}
    if not catalogue.terms_of_word:
        return words
    letters: list[tuple[str, Span]] = []
    inside: set[int] = set()
    signs = catalogue.signs
    for last, (word, length, latin) in catalogue.automaton.iter(text):
        span = last + 1 - length, last + 1
        if latin and not stands_alone(text, *span):
            continue
        if length > 1:
            inside.update(range(*span))
        elif word not in signs:
            letters.append((word, span))
            continue
        if word in words:
            words[word].append(span)
        else:
            words[word] = [span]
    for letter, span in letters:
        if span[0] not in inside:
            words.setdefault(letter, []).append(span)
    return words


def _together(term: Term, words: Words) -> Match | None:
    """The longest words of a term's groups that stand near each other."""
    first, *rest = (_places(group, words) for group in term.groups)
    best: list[tuple[str, Span]] = []
    for one in first:
        chosen = [one]
        for places in rest:
            near = [other for other in places if _near(one[1], other[1])]
            if not near:
                break
            chosen.append(max(near, key=lambda other: (len(other[0]), -abs(other[1][0] - one[1][0]))))
        else:
            best = max(best, chosen, key=lambda words: sum(len(word) for word, _ in words))
    return Match(TOGETHER.join(word for word, _ in best), tuple(span for _, span in best)) if best else None


def _places(group: frozenset[str], words: Words) -> list[tuple[str, Span]]:
    return [(word, span) for word, spans in words.items() if word in group for span in spans[:OFTEN]]


def _near(one: Span, other: Span) -> bool:
    """Whether two words stand beside each other, not one inside the other, and near enough for their length."""
    gap = max(other[0] - one[1], one[0] - other[1])
    return 0 <= gap <= min(FARTHEST, REACH * (one[1] - one[0] + other[1] - other[0]))


def _as_thing(match: Match, text: str, signs: list[Span], catalogue: Catalogue) -> Match:
    """A thing counts where it is not a place and has a sign of what is wrong near it; the sign then counts too."""
    weak = "place"
    for places in [match.places] if TOGETHER in match.words else [(span,) for span in match.places]:
        start, end = min(places)[0], max(places)[1]
        if any(text.startswith(catalogue.after_place, span[1]) for span in places):
            continue
        if text.endswith(catalogue.before_place, 0, start):
            continue
        weak = "no_sign"
        near = [sign for sign in signs if 0 <= sign[0] - end <= SIGN_AFTER or 0 <= start - sign[1] <= SIGN_BEFORE]
        if near:
            sign = min(near, key=lambda sign: (max(sign[0] - end, start - sign[1]), sign[0] - sign[1], sign))
            return Match(f"{match.words}{TOGETHER}{text[slice(*sign)]}", places, (sign,))
    return match._replace(weak=weak)
