"""What is a photo that may be kept, what is refused and why, and what stays outside."""

import io
import struct
import zipfile
import zlib
from typing import Any

import pytest
from photos import picture
from PIL import Image

from citybrain.intake.photo import FOREIGN, KEPT_SIDE, read_photo
from citybrain.problem import Problem

NORTH_OF_THE_POND = {1: "N", 2: (24.0, 17.0, 28.68), 3: "E", 4: (116.0, 7.0, 3.0)}  # 24.2913, 116.1175


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width: int, height: int) -> bytes:
    """A few hundred bytes that would be decoded to as many pixels."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as inside:
        inside.writestr("run.js", "alert(1)")
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_position_camera_and_everything_else_stay_outside_and_the_position_is_told_once(kind: str) -> None:
    data = picture(kind, gps=NORTH_OF_THE_POND)
    assert b"Camera 17" in data
    photo = read_photo(data)
    assert photo.position == pytest.approx((116.1175, 24.2913), abs=1e-6)
    for kept in (photo.content, photo.thumbnail):
        image = Image.open(io.BytesIO(kept))
        assert (dict(image.getexif()), b"Camera 17" in kept, b"Exif" in kept) == ({}, False, False)
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop", "background"}
    assert (Image.open(io.BytesIO(photo.content)).format, photo.media_type) == (kind, f"image/{kind.lower()}")
    assert (photo.width, photo.height) == (640, 480)
    assert max(Image.open(io.BytesIO(photo.thumbnail)).size) == 320
    assert read_photo(data).sha256 == photo.sha256


def test_a_photo_that_was_held_upright_is_upright_without_its_note() -> None:
    photo = read_photo(picture(orientation=6))  # turned right by the viewer
    image = Image.open(io.BytesIO(photo.content)).convert("RGB")
    assert image.size == (480, 640)
    top, bottom = image.getpixel((240, 40)), image.getpixel((240, 600))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 200 > bottom[0]


def test_a_large_photo_is_kept_smaller() -> None:
    photo = read_photo(picture(size=(6000, 3000), quality=20))
    assert (photo.width, photo.height) == (KEPT_SIDE, KEPT_SIDE // 2)


@pytest.mark.parametrize(
    "gps", [None, {1: "N", 2: (95.0, 0.0, 0.0), 3: "E", 4: (116.0, 0.0, 0.0)}, {1: "N"}, {2: (0.0,) * 3, 4: (0.0,) * 3}]
)
def test_what_is_no_position_is_none_and_the_photo_is_kept(gps: Any) -> None:
    assert read_photo(picture(gps=gps)).position is None


def test_a_film_behind_a_photo_as_phones_hang_it_there_is_left_outside() -> None:
    film = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40
    photo = read_photo(picture() + film)
    assert b"ftypmp42" not in photo.content


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"hello", "no JPEG, PNG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no JPEG, PNG or WebP"),
        (b"GIF89a" + b"\0" * 50, "no JPEG, PNG or WebP"),
        (picture()[:2000], "truncated"),
        (picture("PNG")[:-20], "truncated"),
        (picture("WEBP")[:-20], "truncated"),
        (b"\xff\xd8\xff" + b"\0" * 200, "truncated or damaged"),
        (picture("PNG").replace(b"IDAT", b"IDAX"), "damaged"),
        (png_of(30_000, 30_000), "more than 60 million pixels"),
        (png_of(1, 30_000), "too many"),
        (png_of(2**31 - 1, 1), "too many|damaged|million"),
        (png_of(0, 10), "damaged"),
        (picture() + b"<HTML><script>alert(1)</script>", "another kind"),
        (picture("PNG") + archive(), "another kind"),
        (picture() + b"%PDF-1.7", "another kind"),
        (picture(comment=b"<?php system($_GET[0]);"), "another kind"),
        (picture(comment=archive()), "another kind"),
    ],
)
def test_what_is_no_photo_is_refused_with_its_reason(data: bytes, why: str) -> None:
    with pytest.raises(Problem, match=why) as refused:
        read_photo(data)
    assert (refused.value.status, refused.value.errors[0].field) == (422, "file")


def test_an_archive_that_ends_with_the_file_is_found_wherever_it_begins() -> None:
    inside = archive()
    end = inside[-22:-2]
    rest = picture()[2:]
    data = b"\xff\xd8" + b"\xff\xfe" + struct.pack(">H", len(inside) + 2)
    data += inside[:-22] + end + struct.pack("<H", len(rest)) + rest  # the photo is the archive's comment
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.namelist() == ["run.js"]
    with pytest.raises(Problem, match="another kind"):
        read_photo(data)


def test_an_animation_is_no_photo() -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(Problem, match="animation"):
        read_photo(out.getvalue())


def test_every_cut_of_a_photo_is_either_refused_or_whole() -> None:
    whole = picture(size=(64, 48))
    for length in range(0, len(whole), 37):
        with pytest.raises(Problem):
            read_photo(whole[:length])
    assert len(FOREIGN) > 5
