"""The icon of the grid worker's page on a phone's home screen: the same drawing as `icon.svg`, to the edge, because
phones cut it to shapes of their own."""

import io
from functools import cache

from PIL import Image, ImageDraw

SIDES = (180, 192, 512)
GROUND, PAPER, MARK = "#0072b2", "#ffffff", "#e69f00"
UNITS, FINER = 32, 4  # the drawing's own units; drawn four times as large, for smooth edges


@cache
def icon(side: int) -> bytes:
    """A PNG of `side` pixels; what matters lies in the middle four fifths."""
    one = side * FINER / UNITS
    image = Image.new("RGB", (side * FINER, side * FINER), GROUND)
    draw = ImageDraw.Draw(image)
    for y, end in ((9.5, 24), (16, 17.5), (22.5, 24)):
        draw.rounded_rectangle([8 * one, (y - 1.3) * one, end * one, (y + 1.3) * one], 1.3 * one, PAPER)
    draw.ellipse([20 * one, 13.2 * one, 25.6 * one, 18.8 * one], MARK)
    out = io.BytesIO()
    image.resize((side, side), Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()
