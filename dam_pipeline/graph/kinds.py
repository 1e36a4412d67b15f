"""The kinds of edges that depend on two media alone: what each is made from, and how it is found."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.graph import looks_like, near_duplicate, same_face
from dam_pipeline.graph.edges import LOOKS_LIKE, NEAR_DUPLICATE, SAME_FACE, Edge
from dam_pipeline.graph.loading import Library, boxes_of, bytes_of, floats_of, vectors_of
from dam_pipeline.graph.pairs import PAIRS_KEPT
from dam_pipeline.records import Json, MediaKind, Space
from dam_pipeline.stores.segment_files import Rows

CLIP_STAGE = "clip_embeddings"
FACE_STAGE = "face_embeddings"
PRINT_STAGE = "fingerprints"
_LIGHT = pa.schema([f for f in schemas.KEYFRAMES if f.name in ("sharpness", "exposure")])


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of edges as it should be now.

    `recipe` is all that decides besides the media: another one, and all edges are found anew.
    `versions` are of the media that can have such edges; `find` gives the edges of which one media at
    least is among those named. `kept` strongest of each media stay, where that is limited.
    """

    name: str
    recipe: Json
    versions: Mapping[str, str]
    find: Callable[[Collection[str]], Iterator[Edge]]
    kept: int | None = None


def pairwise_kinds(library: Library, spaces: Mapping[str, Space | None]) -> Iterator[Kind]:
    """The kinds in the order in which they are found."""
    yield _near_duplicate(library)
    yield _looks_like(library, spaces.get("image_text"))
    yield _same_face(library, spaces.get("face"))


def _near_duplicate(library: Library) -> Kind:
    photos = {one.media_id for one in library.media if one.kind is MediaKind.IMAGE}
    found = library.versions(PRINT_STAGE, schemas.FINGERPRINTS)
    versions = {one: f"{version} {one in photos}" for one, version in found.items()}

    def find(new: Collection[str]) -> Iterator[Edge]:
        rows = library.rows(PRINT_STAGE, schemas.FINGERPRINTS, versions)
        prints = near_duplicate.Prints(
            rows.media_ids,
            np.array([one in photos for one in rows.media_ids], bool),
            rows.media,
            floats_of(rows.table, "start_s"),
            floats_of(rows.table, "end_s"),
            bytes_of(rows.table, "luma"),
            bytes_of(rows.table, "chroma"),
            np.asarray(rows.table["detail"].to_numpy(), np.float32),
        )
        return near_duplicate.near_duplicates(prints, _mask(rows, new))

    return Kind(NEAR_DUPLICATE, {"code": 1}, versions, find)


def _looks_like(library: Library, space: Space | None) -> Kind:
    if space is None:
        return Kind(LOOKS_LIKE, None, {}, lambda _new: iter(()))
    schema = schemas.clip_embeddings(space.dimension)
    light = library.versions("keyframes", schemas.KEYFRAMES)
    found = library.versions(CLIP_STAGE, schema, space)
    versions = {one: f"{found[one]} {light[one]}" for one in found.keys() & light.keys()}

    def find(new: Collection[str]) -> Iterator[Edge]:
        rows = library.rows(CLIP_STAGE, schema, versions)
        pictures = _pictures(rows, library.rows("keyframes", _LIGHT, versions))
        return looks_like.looks_like(pictures, space, _mask(rows, new))

    recipe = {
        "code": 1,
        "space": asdict(space),
        "exposure": [looks_like.LEAST_EXPOSURE, looks_like.MOST_EXPOSURE],
        "sharpness": looks_like.LEAST_SHARPNESS,
        "pairs_kept": PAIRS_KEPT,
    }
    return Kind(LOOKS_LIKE, recipe, versions, find, PAIRS_KEPT)


def _same_face(library: Library, space: Space | None) -> Kind:
    if space is None:
        return Kind(SAME_FACE, None, {}, lambda _new: iter(()))
    schema = schemas.face_embeddings(space.dimension)
    versions = library.versions(FACE_STAGE, schema, space)

    def find(new: Collection[str]) -> Iterator[Edge]:
        rows = library.rows(FACE_STAGE, schema, versions)
        faces = same_face.Faces(
            rows.media_ids,
            rows.media,
            floats_of(rows.table, "time_s"),
            floats_of(rows.table, "start_s"),
            floats_of(rows.table, "end_s"),
            boxes_of(rows.table),
            vectors_of(rows.table),
            floats_of(rows.table, "quality"),
        )
        return same_face.same_face(faces, space, _mask(rows, new))

    recipe = {"code": 1, "space": asdict(space), "pairs_kept": PAIRS_KEPT}
    return Kind(SAME_FACE, recipe, versions, find, PAIRS_KEPT)


def _mask(rows: Rows, new: Collection[str]) -> np.ndarray:
    return np.array([one in new for one in rows.media_ids], bool)


def _pictures(rows: Rows, keyframes: Rows) -> looks_like.Pictures:
    """Vectors with what their keyframes' rows say of light; a vector without its keyframe is out."""
    counts = np.bincount(keyframes.media, minlength=len(keyframes.media_ids))
    keyframe = np.asarray(rows.table["keyframe"].to_numpy(), np.int64)
    there = np.flatnonzero((keyframe >= 0) & (keyframe < counts[rows.media]))
    at = (np.cumsum(counts) - counts)[rows.media[there]] + keyframe[there]
    table = rows.table
    vectors = vectors_of(table)
    return looks_like.Pictures(
        rows.media_ids,
        rows.media[there],
        floats_of(table, "time_s")[there],
        floats_of(table, "start_s")[there],
        floats_of(table, "end_s")[there],
        floats_of(keyframes.table, "sharpness")[at],
        floats_of(keyframes.table, "exposure")[at],
        vectors if len(there) == len(vectors) else vectors[there],
    )
