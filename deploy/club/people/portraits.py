"""A picture that somebody uploaded becomes a small square JPEG: nothing else is ever served.

Re-encoding is the defence: whatever hid in the file (places in EXIF, comments, a script behind
the pixels, a second frame) is not in what comes out. `portrait` is a pure function and takes some
tens of milliseconds: pages call it in a thread.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageOps

from deploy.club.refusal import N_, Refused

SIDE_PX = 256
UPLOAD_BYTES_MAX = 2 * 1024 * 1024
# A file of 2 MiB can claim any size. This is what a phone's camera makes, and some 100 MB decoded.
PIXELS_MAX = 24_000_000
# Only what browsers upload: each further decoder of Pillow is one more that strangers can feed.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
# About 15 kB at this size, without visible blocks.
QUALITY = 85
# Behind a picture with transparent parts.
BACKGROUND = (255, 255, 255)


def portrait(data: bytes) -> bytes:
    """A JPEG of SIDE_PX x SIDE_PX from the middle of the picture, upright, without metadata.

    Refused `picture_too_large` (413) for too many bytes or pixels, `bad_picture` (400) for what
    is no picture of FORMATS or is damaged.
    """
    if len(data) > UPLOAD_BYTES_MAX:
        raise Refused("picture_too_large", 413, N_("This picture is too large: 2 MiB at most."))
    with _opened(data) as image:
        if image.width * image.height > PIXELS_MAX:
            text = N_("This picture has too many pixels: 24 million at most.")
            raise Refused("picture_too_large", 413, text)
        square = _squared(image)
    encoded = BytesIO()
    square.save(encoded, "JPEG", quality=QUALITY, optimize=True)
    return encoded.getvalue()


def _bad_picture() -> Refused:
    return Refused(
        "bad_picture", 400, N_("This is no picture that we can read: JPEG, PNG, WebP or GIF.")
    )


def _opened(data: bytes) -> Image.Image:
    """The picture with its size known and nothing decoded yet."""
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        text = N_("This picture has too many pixels: 24 million at most.")
        raise Refused("picture_too_large", 413, text) from error
    except Exception as error:  # decoders raise whatever a hostile header makes them stumble over
        raise _bad_picture() from error


def _squared(image: Image.Image) -> Image.Image:
    """A new picture, so that nothing of the file's `info` comes along."""
    try:
        image.draft(
            "RGB", (2 * SIDE_PX, 2 * SIDE_PX)
        )  # a JPEG is decoded at a fraction of its size
        upright = ImageOps.exif_transpose(image).convert("RGBA")
        fitted = ImageOps.fit(upright, (SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    except Exception as error:  # as above, now for the pixels
        raise _bad_picture() from error
    square = Image.new("RGB", (SIDE_PX, SIDE_PX), BACKGROUND)
    square.paste(fitted, mask=fitted.getchannel("A"))
    return square
