"""Photos as cameras make them."""

import io
from typing import Any

from PIL import Image, ImageDraw


def picture(kind: str = "JPEG", size: tuple[int, int] = (640, 480), gps: Any = None, **more: Any) -> bytes:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, "red")
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill="blue")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "相机 Camera 17", more.pop("orientation", 1)
    if gps:
        exif[0x8825] = gps
    out = io.BytesIO()
    image.save(out, kind, exif=exif, **more)
    return out.getvalue()
