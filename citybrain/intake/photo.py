"""A photo as it came to a photo that may be kept and shown: of a known format by its content, whole, nothing behind or
inside it but an image; drawn anew, so that position, camera and whatever else it carried stay outside."""

import hashlib
import io
import math
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, ImageOps

from citybrain.intake.body import MIB
from citybrain.problem import Problem, invalid

PHOTO_BYTES = 12 * MIB
PIXELS, SIDE = 60_000_000, 20_000  # before anything is decoded
KEPT_SIDE, THUMBNAIL_SIDE, QUALITY = 4096, 320, 90
DECODED_AT_ONCE = threading.BoundedSemaphore(2)  # of one process: a photo takes up to 240 MB while it is decoded
MEDIA = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
# What makes a file something else too: documents and programs that readers find anywhere in it or at its beginning.
FOREIGN = (b"%PDF-", b"<html", b"<script", b"<!doctype", b"<?php", b"<svg", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")
HEAD = 1024
REMEDY = "send the photo as the camera made it: JPEG, PNG or WebP"


@dataclass(frozen=True, slots=True)
class Photo:
    """`position`: where the camera says it was, (lng, lat) in WGS-84: to be compared and forgotten."""

    content: bytes
    media_type: str
    thumbnail: bytes
    width: int
    height: int
    sha256: str
    original_sha256: str
    position: tuple[float, float] | None


def read_photo(data: bytes) -> Photo:
    """Raises Problem 422 that says what is wrong with it."""
    if len(data) > PHOTO_BYTES:
        raise _refused(f"it is larger than {PHOTO_BYTES // MIB} MiB")
    kind = _kind(data)
    end = _ENDS[kind](data)
    if end is None:
        raise _refused("it is truncated or damaged")
    if _is_something_else(data, end):
        raise _refused("it is another kind of file as well, a document, an archive or a program")
    with DECODED_AT_ONCE:
        try:
            return _drawn_anew(data, kind)
        except Problem:
            raise
        except Image.DecompressionBombError:
            raise _refused(f"it has more than {PIXELS // 10**6} million pixels") from None
        except Exception:  # whatever a decoder stumbles over: the file is to blame, and its bytes belong in no log
            raise _refused("it is truncated or damaged") from None


def _refused(why: str) -> Problem:
    return invalid("file", why, REMEDY)


def _kind(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise _refused("its content is no JPEG, PNG or WebP" if data else "it is empty")


def _drawn_anew(data: bytes, kind: str) -> Photo:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limits are checked right below
        image: Image.Image = Image.open(io.BytesIO(data), formats=[kind])
    if image.width * image.height > PIXELS or max(image.size) > SIDE:
        raise _refused(f"{image.width} x {image.height} pixels are too many: {PIXELS // 10**6} million, {SIDE} a side")
    if kind != "JPEG" and getattr(image, "n_frames", 1) > 1:
        raise _refused("it is an animation")
    position = _position(image)
    image.load()
    upright = ImageOps.exif_transpose(image)
    upright.thumbnail((KEPT_SIDE, KEPT_SIDE))
    mode = "RGBA" if kind != "JPEG" and upright.has_transparency_data else "RGB"
    plain = Image.new(mode, upright.size)  # takes over pixels and nothing else
    plain.paste(upright.convert(mode))
    content = _saved(plain, kind)
    small = plain.convert("RGB")
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    digests = (hashlib.sha256(content).hexdigest(), hashlib.sha256(data).hexdigest())
    return Photo(content, MEDIA[kind], _saved(small, "JPEG"), *plain.size, *digests, position)


def _saved(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    options: dict[str, Any] = {} if kind == "PNG" else {"quality": QUALITY}
    image.save(out, kind, **options)
    return out.getvalue()


def _position(image: Image.Image) -> tuple[float, float] | None:
    """What cannot be read is no position; it is no reason to refuse the photo."""
    try:
        told = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        lat = _degrees(told[ExifTags.GPS.GPSLatitude], told.get(ExifTags.GPS.GPSLatitudeRef, "N"))
        lng = _degrees(told[ExifTags.GPS.GPSLongitude], told.get(ExifTags.GPS.GPSLongitudeRef, "E"))
    except Exception:
        return None
    known = math.isfinite(lat) and math.isfinite(lng) and abs(lat) <= 90 and abs(lng) <= 180 and (lat, lng) != (0, 0)
    return (lng, lat) if known else None


def _degrees(parts: Any, side: str) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return (degrees + minutes / 60 + seconds / 3600) * (-1 if side in ("S", "W") else 1)


def _is_something_else(data: bytes, end: int) -> bool:
    """Phones hang films and depth maps behind a photo; those go unseen with the rest."""
    outside = data[:HEAD].lower() + b"\0" + data[end:].lower()
    if any(mark.lower() in outside for mark in FOREIGN):
        return True
    return _has_archive(data)


def _has_archive(data: bytes) -> bool:
    """An archive is found from its end, before which its directory lies, wherever it begins."""
    last = data.rfind(b"PK\x05\x06", max(0, len(data) - 66_000))
    if last < 0 or last + 16 > len(data):
        return False
    directory = last - int.from_bytes(data[last + 12 : last + 16], "little")
    return directory >= 0 and data[directory : directory + 4] in (b"PK\x01\x02", b"PK\x05\x06")


def _end_of_jpeg(data: bytes) -> int | None:
    """Behind the end of the image: segments have lengths, the compressed parts between them do not."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xD9:
            return at + 2
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker == 0xDA:
            at = _next_marker(data, at)
    return at + 2 if data[at : at + 2] == b"\xff\xd9" else None


def _next_marker(data: bytes, at: int) -> int:
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] not in (0, 0xFF, *range(0xD0, 0xD8)):
            return at
        at += 1 if data[at + 1] == 0xFF else 2
    return len(data)


def _end_of_png(data: bytes) -> int | None:
    at = 8
    while at + 12 <= len(data):
        size, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        at += 12 + size
        if name == b"IEND":
            return at if at <= len(data) else None
    return None


def _end_of_webp(data: bytes) -> int | None:
    end = 8 + int.from_bytes(data[4:8], "little")
    return end if 12 < end <= len(data) else None


_ENDS: dict[str, Callable[[bytes], int | None]] = {"JPEG": _end_of_jpeg, "PNG": _end_of_png, "WEBP": _end_of_webp}
