"""Sample photographs: drawn pictures with what a camera writes into them, and edits of a portrait.

The portrait is the astronaut of scikit-image's package: Eileen Collins, NASA, public domain.
"""

from collections.abc import Callable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import ExifTags, Image, ImageEnhance, ImageOps
from pillow_heif import register_heif_opener

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.samples.contents import SampleFile, Taken
from dam_pipeline.samples.drawing import lay_out, paint

SIZE = (1500, 1000)
TURNED = {1: 0, 6: 1}
"""EXIF orientation → quarter turns to the left between the upright and the stored picture."""

HEAD_BOX = (130, 20, 330, 250)
"""The astronaut's head with its surroundings (left, top, right, bottom), in pixels of 512."""

_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmp:Rating="{rating}"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt>
</dc:title><dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject></rdf:Description></rdf:RDF>
</x:xmpmeta>"""


def write_photograph(sample: SampleFile, target: Path) -> None:
    """Write a sample's scene as a photograph, with all that its camera knew (`taken`)."""
    taken, scene = sample.taken, sample.shown[0].scene
    if taken is None:
        raise ValueError(f"{sample.name} was taken by no camera")
    turns = TURNED[taken.orientation]
    layout = lay_out(scene, np.random.default_rng(len(scene.caption)))
    # A copy is the next picture of a burst: the same things, a little further on.
    drift = (0.015, 0.01) if sample.copy_of else (0.0, 0.0)
    picture = Image.fromarray(np.rot90(paint(layout, SIZE[::-1] if turns else SIZE, drift), turns))
    register_heif_opener()
    picture.save(target, quality=92, exif=exif_of(taken), xmp=xmp_of(taken))


def write_portrait(sample: SampleFile, target: Path) -> None:
    """Write the astronaut, or the edit of it that the sample's name tells."""
    edit = Path(sample.name).stem.removeprefix("astronaut").lstrip("-")
    with Image.open(_astronaut()) as picture:
        _EDITS[edit](picture.convert("RGB")).save(target, quality=92)


def exif_of(taken: Taken) -> Image.Exif:
    """Camera, lens, time with offset and place as EXIF."""
    at = datetime.fromisoformat(taken.at)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = taken.camera.split()[0]
    exif[ExifTags.Base.Model] = taken.camera
    exif[ExifTags.Base.Orientation] = taken.orientation
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {
            ExifTags.Base.DateTimeOriginal: at.strftime("%Y:%m:%d %H:%M:%S"),
            ExifTags.Base.OffsetTimeOriginal: at.isoformat()[-6:],
            ExifTags.Base.LensModel: taken.lens,
        }
    )
    latitude, longitude = taken.gps
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: "N" if latitude >= 0 else "S",
            ExifTags.GPS.GPSLatitude: _sexagesimal(latitude),
            ExifTags.GPS.GPSLongitudeRef: "E" if longitude >= 0 else "W",
            ExifTags.GPS.GPSLongitude: _sexagesimal(longitude),
        }
    )
    return exif


def xmp_of(taken: Taken) -> bytes:
    """Title, keywords and rating as an XMP packet; empty where none of them is set."""
    if not (taken.title or taken.keywords or taken.rating):
        return b""
    keywords = "".join(f"<rdf:li>{escape(word)}</rdf:li>" for word in taken.keywords)
    packet = _XMP.format(rating=taken.rating, title=escape(taken.title), keywords=keywords)
    return packet.encode()


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    minutes, seconds = divmod(abs(degrees) * 3600, 60)
    return float(minutes // 60), float(minutes % 60), round(seconds, 3)


def _astronaut() -> Path:
    """Where scikit-image keeps the picture; found without importing the package."""
    try:
        path = Path(str(distribution("scikit-image").locate_file("skimage/data/astronaut.png")))
    except PackageNotFoundError:
        path = Path("skimage/data/astronaut.png")
    if not path.exists():
        raise ConfigurationError(
            "The sample portrait comes with scikit-image, which is not installed. Run: make setup"
        )
    return path


_EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "": lambda picture: picture,
    "mirrored": ImageOps.mirror,
    "cropped": lambda picture: picture.crop(HEAD_BOX),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.35),
    "small": lambda picture: picture.reduce(2),
}
