"""Uploaded pictures: what comes out, and what is not let in."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deploy.club.people.portraits import PIXELS_MAX, SIDE_PX, UPLOAD_BYTES_MAX, portrait
from deploy.club.refusal import Refused

RED = (200, 30, 30)
BLUE = (30, 30, 200)
ORIENTATION = 0x0112


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def decoded(jpeg: bytes) -> Image.Image:
    image = Image.open(BytesIO(jpeg))
    image.load()
    return image


def is_near(pixel: object, colour: tuple[int, int, int]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(int(one) - other) < 20 for one, other in zip(pixel, colour, strict=True))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_of_any_format_becomes_a_square_jpeg(format: str) -> None:
    out = decoded(portrait(encoded(Image.new("RGB", (900, 300), RED), format)))
    assert (out.format, out.size, out.mode) == ("JPEG", (SIDE_PX, SIDE_PX), "RGB")
    assert is_near(out.getpixel((128, 128)), RED)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "RGBA"])
def test_every_mode_of_pixels_is_understood(mode: str) -> None:
    format = "JPEG" if mode == "CMYK" else "PNG"
    out = decoded(portrait(encoded(Image.new("RGB", (20, 20), RED).convert(mode), format)))
    assert out.size == (SIDE_PX, SIDE_PX)


def test_metadata_and_comments_do_not_come_along() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    data = encoded(Image.new("RGB", (64, 64), RED), "JPEG", exif=exif, comment=b"a secret word")
    assert b"secret" in data
    out = portrait(data)
    assert b"secret" not in out
    assert not decoded(out).getexif()
    assert "comment" not in decoded(out).info


def test_what_follows_the_pixels_does_not_come_along() -> None:
    data = encoded(Image.new("RGB", (64, 64), RED), "JPEG") + b"<script>alert(1)</script>"
    assert b"script" not in portrait(data)


def test_a_picture_taken_sideways_stands_upright() -> None:
    sideways = Image.new("RGB", (400, 400), RED)
    sideways.paste(BLUE, (0, 0, 200, 400))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the left edge of the file is the top of the picture
    out = decoded(portrait(encoded(sideways, "JPEG", exif=exif)))
    assert is_near(out.getpixel((128, 20)), BLUE)
    assert is_near(out.getpixel((128, 236)), RED)


def test_the_middle_of_a_wide_picture_is_kept() -> None:
    wide = Image.new("RGB", (900, 300), RED)
    wide.paste(BLUE, (300, 0, 600, 300))
    out = decoded(portrait(encoded(wide)))
    assert is_near(out.getpixel((10, 128)), BLUE)
    assert is_near(out.getpixel((246, 128)), BLUE)


def test_transparent_parts_become_white() -> None:
    out = decoded(portrait(encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 0)))))
    assert is_near(out.getpixel((128, 128)), (255, 255, 255))


def test_only_the_first_frame_of_an_animation_is_kept() -> None:
    frames = [Image.new("RGB", (64, 64), RED), Image.new("RGB", (64, 64), BLUE)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    out = decoded(portrait(data))
    assert is_near(out.getpixel((128, 128)), RED)


def test_too_many_bytes_are_refused_before_anything_is_decoded() -> None:
    with pytest.raises(Refused) as refused:
        portrait(b"\0" * (UPLOAD_BYTES_MAX + 1))
    assert (refused.value.code, refused.value.status) == ("picture_too_large", 413)


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [5_000, 12_000, 60_000])
def test_a_small_file_that_claims_many_pixels_is_refused(side: int) -> None:
    assert side * side > PIXELS_MAX
    with pytest.raises(Refused) as refused:
        portrait(claiming(side, side))
    assert refused.value.code == "picture_too_large"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded(Image.new("RGB", (64, 64), RED), "BMP"),
        encoded(Image.new("RGB", (640, 640), RED), "JPEG")[:700],
        claiming(2000, 2000),
    ],
)
def test_what_is_no_picture_or_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(Refused) as refused:
        portrait(data)
    assert (refused.value.code, refused.value.status) == ("bad_picture", 400)


WHOLE = [
    encoded(Image.effect_noise((40, 40), 50), format) for format in ("JPEG", "PNG", "WEBP", "GIF")
]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(WHOLE), st.data())
def test_damaged_files_give_a_picture_or_a_refusal_and_nothing_else(
    whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        out = portrait(bytes(damaged))
    except Refused:
        return
    assert decoded(out).size == (SIDE_PX, SIDE_PX)
