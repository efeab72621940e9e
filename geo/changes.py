"""What one edition makes of another's codes: given up, renamed, under other parents; and where their ground went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import shapely

from geo.fault import Fault
from geo.layer import Layer

DUST_M2 = 1.0


class Part(NamedTuple):
    """Ground that `old` had and `new` has; shares are of the one's and of the other's whole ground. A code that has no
    ground in the other edition stands alone, with "" for the other."""

    level: str
    old: str
    old_name: str
    new: str
    new_name: str
    share_of_old: float
    share_of_new: float
    area_m2: float


def faults(before: Mapping[str, Layer], after: Mapping[str, Layer]) -> list[Fault]:
    """Warnings: nothing of this makes an edition wrong, all of it may be a slip."""
    found = []
    for level, new in after.items():
        old = before.get(level)
        if old is None or new is old:
            continue
        rows = {code: row for row, code in enumerate(old.codes)}
        for row, code in enumerate(new.codes):
            was = rows.pop(code, None)
            if was is None or level == "cell":
                continue
            if old.names[was] != new.names[row]:
                what = f"{old.names[was]} until now, {new.names[row]} here"
                found.append(Fault("renamed", False, level, "", what, None, code, new.polygons[row]))
            if old.parents[was] and new.parents[row] and old.parents[was] != new.parents[row]:
                what = f"in {old.parents[was]} until now, in {new.parents[row]} here"
                found.append(Fault("changed_parent", False, level, "", what, None, code, new.polygons[row]))
        if level != "cell":  # cells come and go with every drawing; their mapping is a file of its own
            found += [
                Fault(
                    "gone_code",
                    False,
                    level,
                    "",
                    f"{old.names[was]} has no polygon any more",
                    None,
                    code,
                    old.polygons[was],
                )
                for code, was in rows.items()
            ]
    return found


def mapping(before: Mapping[str, Layer], after: Mapping[str, Layer]) -> Iterator[Part]:
    """By level and old code, the largest part first; codes of only one of them at their place or at the end."""
    for level in dict.fromkeys([*before, *after]):
        if level in before and level in after:
            yield from _mapped(before[level], after[level])


def _mapped(old: Layer, new: Layer) -> Iterator[Part]:
    tree = shapely.STRtree(new.projected)
    one, other = tree.query(old.projected, predicate="intersects")
    whole_old, whole_new = shapely.area(old.projected), shapely.area(new.projected)
    areas = np.zeros(len(one))
    same = shapely.equals_exact(old.projected[one], new.projected[other], 0.0)
    areas[same] = whole_old[one[same]]
    cut = np.flatnonzero(~same)
    areas[cut] = shapely.area(shapely.intersection(old.projected[one[cut]], new.projected[other[cut]]))
    real = areas > DUST_M2
    one, other, areas = one[real], other[real], areas[real]
    for k in np.lexsort((-areas, one)):
        i, j, area = one[k], other[k], float(areas[k])
        shares = round(area / float(whole_old[i]), 6), round(area / float(whole_new[j]), 6)
        yield Part(old.level, old.codes[i], old.names[i], new.codes[j], new.names[j], *shares, round(area, 1))
    for i in np.setdiff1d(np.arange(len(old)), one):
        yield Part(old.level, old.codes[i], old.names[i], "", "", 0.0, 0.0, 0.0)
    for j in np.setdiff1d(np.arange(len(new)), other):
        yield Part(new.level, "", "", new.codes[j], new.names[j], 0.0, 0.0, 0.0)
