"""Who a media file is: its content fingerprint, its partition key and its address.

Nothing here knows the catalogue or Dagster. Names are bytes on disk, so paths travel as
`os.fsencode`-able strings (surrogateescape) and as percent-encoded `file://` addresses.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from dam_pipeline.errors import SourceError

SAMPLE_BYTES = 1 << 20  # three of these stand for a large file: start, middle, end
WHOLE_UP_TO_BYTES = 64 << 20  # up to here every byte is hashed
MEDIA_ID_BYTES = 16
KEY_DIGITS = 12  # hex digits of the media id in a partition key
SLUG_CHARS = 24  # the UI cuts keys in the middle at about 26 characters: head and digits stay

ReadRange = Callable[[int, int], bytes]


def fingerprint(size_bytes: int, read_range: ReadRange) -> str:
    """Content fingerprint as 32 hex digits (BLAKE2b-128 over the size and the sampled bytes).

    `read_range(offset, length)` gives bytes; at most three ranges of 1 MiB are asked for when the
    file is over 64 MiB, otherwise all of it in pieces. Equal fingerprints of large files are
    presumed, not proven, equality: the `checksum` stage proves it.
    """
    digest = hashlib.blake2b(size_bytes.to_bytes(8, "little"), digest_size=MEDIA_ID_BYTES)
    for offset, length in sample_ranges(size_bytes):
        digest.update(read_range(offset, length))
    return digest.hexdigest()


def sample_ranges(size_bytes: int) -> list[tuple[int, int]]:
    """The (offset, length) pairs that `fingerprint` reads of a file of this size."""
    if size_bytes > WHOLE_UP_TO_BYTES:
        middle = (size_bytes - SAMPLE_BYTES) // 2
        return [(at, SAMPLE_BYTES) for at in (0, middle, size_bytes - SAMPLE_BYTES)]
    step = 4 * SAMPLE_BYTES
    return [(at, min(step, size_bytes - at)) for at in range(0, size_bytes, step)]


def fingerprint_file(path: str | Path) -> str:
    """`fingerprint` of a local file; raises OSError when it cannot be read."""
    with open(path, "rb", buffering=0) as file:

        def read_range(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        return fingerprint(os.fstat(file.fileno()).st_size, read_range)


def partition_key(name: str, media_id: str, collision: int = 1) -> str:
    """Readable key `<slug>-<12 hex>`, with `-2`, `-3` … for proven fingerprint collisions.

    Holds only a–z, 0–9, `-` and `_`, so it is safe in Dagster ranges, URLs and folders.
    """
    stem = name.rsplit("/", 1)[-1]
    stem = stem.rsplit(".", 1)[0] or stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9_]+", "-", plain.lower()).strip("-_")[:SLUG_CHARS].strip("-_")
    suffix = f"-{collision}" if collision > 1 else ""
    return f"{slug or 'media'}-{media_id[:KEY_DIGITS]}{suffix}"


def path_to_uri(path: str | Path) -> str:
    """`file://` address, percent-encoded from the path's bytes; the path is made absolute."""
    raw = os.fsencode(os.path.abspath(path))
    return "file://" + quote_from_bytes(raw, safe="/")


def uri_to_path(uri: str) -> Path:
    """The local path of a `file://` address; raises SourceError for any other scheme."""
    if not uri.startswith("file://"):
        raise SourceError(f"{uri} is not a local file; give a file:// address.")
    return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://"))))


def display_name(uri: str) -> str:
    """The file's name as printable text: undecodable bytes and control characters as escapes."""
    name = uri.rsplit("/", 1)[-1]
    raw = unquote_to_bytes(name) if uri.startswith("file://") else name.encode()
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
