"""Pictures that are drawn when asked for: a poster's placeholder, and a face cut out of a keyframe."""

import io
import textwrap
import unicodedata
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.records import Box

PLACEHOLDER_PX = (640, 360)
PAPER, INK, WARN = (24, 27, 31), (198, 204, 210), (240, 120, 100)
MARGIN_PX = 24
TITLE_PX, TEXT_PX = 26, 18
TEXT_CHARS, TEXT_LINES = 64, 9  # what fits the placeholder at TEXT_PX
FACE_PX = 160
FACE_MARGIN = 0.35  # of the box's sides, so that hair and chin are in the picture


def placeholder(title: str, lines: list[str], *, is_trouble: bool) -> bytes:
    """A JPEG of 640 × 360 with a title and text, the text in red when it tells of trouble."""
    image = Image.new("RGB", PLACEHOLDER_PX, PAPER)
    draw = ImageDraw.Draw(image)
    heading = textwrap.shorten(_drawable(title), 44, placeholder=" …")
    draw.text((MARGIN_PX, MARGIN_PX), heading, INK, ImageFont.load_default(TITLE_PX))
    wrapped = [
        piece for line in lines for piece in textwrap.wrap(_drawable(line), TEXT_CHARS) or [""]
    ]
    if len(wrapped) > TEXT_LINES:
        wrapped = [*wrapped[: TEXT_LINES - 1], "…"]
    top = MARGIN_PX + TITLE_PX * 2
    colour = WARN if is_trouble else INK
    text = "\n".join(wrapped)
    font = ImageFont.load_default(TEXT_PX)
    draw.multiline_text((MARGIN_PX, top), text, colour, font, spacing=8)
    return _jpeg(image)


def face(path: Path, box: Box) -> bytes:
    """The face at `box` of a keyframe as a JPEG of at most 160 px; raises UnreadableMedia."""
    x, y, w, h = box
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            corners = (
                max(0, round((x - w * FACE_MARGIN) * width)),
                max(0, round((y - h * FACE_MARGIN) * height)),
                min(width, round((x + w * (1 + FACE_MARGIN)) * width)),
                min(height, round((y + h * (1 + FACE_MARGIN)) * height)),
            )
            cut = picture.convert("RGB").crop(corners)
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise UnreadableMedia(
            f"{path} cannot be read ({error}). Run `dam retry --stage keyframes --all`."
        ) from error
    if 0 in cut.size:
        raise UnreadableMedia(f"The face at {box} is no part of {path}.")
    cut.thumbnail((FACE_PX, FACE_PX))
    return _jpeg(cut)


def _jpeg(image: Image.Image) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=85)
    return sink.getvalue()


def _drawable(text: str) -> str:
    # Pillow's own font knows little more than ASCII; the page has the name as it is.
    plain = unicodedata.normalize("NFKD", text)
    kept = (c for c in plain if not unicodedata.combining(c))
    return "".join(c if c == "·" or (c.isascii() and c.isprintable()) else "?" for c in kept)
