"""Which of our fields stand in which XMP properties, and when two values of a field are the same.

Names and forms of the properties are those of ISO 16684-1 (XMP), the IPTC photo metadata standard
2023.1, Lightroom (`lr`), digiKam and the Metadata Working Group's guidelines 2.0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.stock.embedded import GENERATED, paragraphs
from dam_pipeline.stock.gazetteer import country_of
from dam_pipeline.stock.wording import clean

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP = "http://ns.adobe.com/xap/1.0/"
NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",  # of digiKam; of Windows without slash
    "MicrosoftPhoto1": "http://ns.microsoft.com/photo/1.0",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmp": XMP,
}
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"

Value = str | tuple[str, ...]
Values = Mapping[str, Value]
"""What one side says: by field a text or, of `keywords`, words. A field it is silent about is not there."""


@dataclass(frozen=True, slots=True)
class Property:
    """An XMP property: `text` is one value, `languages` an alternative by language, else a list."""

    prefix: str
    name: str
    form: Literal["text", "languages", "Bag", "Seq"] = "text"

    @property
    def namespace(self) -> str:
        """The namespace that the prefix usually stands for."""
        return NAMESPACES[self.prefix]


KEYWORDS = "keywords"
PROPERTIES: Mapping[str, Property] = {
    "title": Property("dc", "title", "languages"),
    "description": Property("dc", "description", "languages"),
    KEYWORDS: Property("dc", "subject", "Bag"),
    "rating": Property("xmp", "Rating"),
    "creator": Property("dc", "creator", "Seq"),
    "copyright": Property("dc", "rights", "languages"),
    "date": Property("photoshop", "DateCreated"),
    "city": Property("photoshop", "City"),
    "region": Property("photoshop", "State"),
    "country": Property("photoshop", "Country"),
    "country_code": Property("Iptc4xmpCore", "CountryCode"),
    "source_type": Property("Iptc4xmpExt", "DigitalSourceType"),
}
TEXTS = ("title", "description", "creator", "copyright", "date")
PLACE = ("city", "region", "country", "country_code")
METADATA_DATE = Property("xmp", "MetadataDate")
TREES: Mapping[Property, str] = {
    Property("lr", "hierarchicalSubject", "Bag"): "|",
    Property("digiKam", "TagsList", "Seq"): "/",
    Property("MicrosoftPhoto", "LastKeywordXMP", "Bag"): "/",
    Property("MicrosoftPhoto1", "LastKeywordXMP", "Bag"): "/",
}
"""Keywords with what is wider before them, and what stands between: `animal|bird|falcon`.

They follow `dc:subject`. The first is made where a keyword has something wider, the others are only
kept in step: a list that its own program no longer looks after would win over the others there.
"""


def tidy(field: str, text: str) -> str:
    """A text as all sides are compared and written: clean, of a rating the number, empty for none."""
    if field == "description":
        return paragraphs(text)
    text = clean(text)
    if field == "rating":
        return _stars(text)
    if field == "source_type":
        return text.rpartition("/")[2]
    return text


def same(field: str, one: Value | None, other: Value | None) -> bool:
    """Whether two sides say the same of a field; of keywords also in the same order."""
    return one == other or _compared(field, one) == _compared(field, other)


def is_generated(source_type: Value | None) -> bool:
    """Whether a type of source says that a model made it, wholly or partly."""
    return source_type in GENERATED


def _compared(field: str, value: Value | None) -> Value | None:
    if not isinstance(value, str):
        return value
    if field == "date":
        return value[:19].replace(" ", "T")  # programs add fractions and time zones by themselves
    if field in ("country", "country_code"):
        try:
            return country_of(value)[0]
        except ConfigurationError:
            return value
    return value


def _stars(text: str) -> str:
    """−1 (rejected) to 5; 0 is how programs write that there is none."""
    try:
        number = float(text)
    except ValueError:
        return ""
    return f"{number:g}" if number and -1 <= number <= 5 else ""
