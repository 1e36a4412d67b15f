"""Which media a search may show, where they are, and the picture that stands for a moment."""

import fnmatch
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.identity import uri_to_path
from dam_pipeline.records import Filters, Location, Media
from dam_pipeline.search.fusion import Moment
from dam_pipeline.search.hits import Evidence, Hit, ListKey
from dam_pipeline.stores.derived import DerivedFiles

KEYFRAMES = "keyframes"
SENTENCES = "sentence_embeddings"


class Shown:
    """The media of one search that a person may see, looked up once each."""

    def __init__(
        self,
        catalogue: Catalogue,
        derived: DerivedFiles,
        filters: Filters,
        include_missing: bool,
    ) -> None:
        self.derived = derived
        self._catalogue = catalogue
        self._path = filters.path
        self._include_missing = include_missing
        self._seen: dict[str, tuple[Media, Location] | None] = {}

    def only(
        self, lists: Mapping[ListKey, Iterable[tuple[str, Evidence]]]
    ) -> dict[ListKey, list[tuple[str, Evidence]]]:
        """The lists without media that are superseded, unknown or at no present place."""
        kept = {key: list(found) for key, found in lists.items()}
        self._look_up({media_id for found in kept.values() for media_id, _ in found})
        return {key: [m for m in found if self._seen[m[0]]] for key, found in kept.items()}

    def place(self, media_id: str) -> tuple[Media, Location]:
        """A media that `only` let through and where it is: a present place that fits the filter."""
        found = self._seen[media_id]
        if found is None:
            raise KeyError(media_id)
        return found

    def _look_up(self, media_ids: Collection[str]) -> None:
        new = sorted(set(media_ids) - self._seen.keys())
        media = self._catalogue.media(new)
        places = self._catalogue.locations_of(new)
        for media_id in new:
            one = media.get(media_id)
            place = self._best(places[media_id])
            is_shown = one is not None and one.superseded_by is None and place is not None
            self._seen[media_id] = (one, place) if is_shown and one and place else None

    def _best(self, places: Sequence[Location]) -> Location | None:
        usable = [p for p in places if self._include_missing or p.missing_since is None]
        fitting = [p for p in usable if not self._path or path_fits(p.uri, self._path)]
        return next(iter(fitting or usable), None)


def path_fits(uri: str, pattern: str) -> bool:
    """Whether an address's path fits a glob, or holds one, as `Filters.path` means it."""
    path = os.fspath(uri_to_path(uri)) if uri.startswith("file://") else uri
    return any(fnmatch.fnmatchcase(path, glob) for glob in (pattern, f"*{pattern}*"))


def hits_of(shown: Shown, moments: Sequence[Moment]) -> list[Hit]:
    """Moments as hits, with their places and keyframes."""
    shown.derived.bring({moment.media_id for moment in moments}, [KEYFRAMES, SENTENCES])
    return [_hit(shown, moment) for moment in moments]


def _hit(shown: Shown, moment: Moment) -> Hit:
    media, place = shown.place(moment.media_id)
    return Hit(
        media_id=media.media_id,
        partition_key=media.partition_key,
        uri=place.uri,
        kind=media.kind,
        start_s=moment.start_s,
        end_s=moment.end_s,
        score=moment.score,
        space=moment.evidence[0].space,
        keyframe=_keyframe(shown.derived, moment),
        evidence=_told(shown.derived, moment),
        present=place.missing_since is None,
    )


def _told(derived: DerivedFiles, moment: Moment) -> tuple[Evidence, ...]:
    """The evidence with the text of sentences, which the vector store does not hold."""
    if not any(one.kind == "meaning" for one in moment.evidence):
        return moment.evidence
    try:
        texts = derived.table(moment.media_id, SENTENCES)["text"].to_pylist()
    except SchemaMismatch:
        return moment.evidence
    return tuple(
        replace(one, text=texts[one.item])
        if one.kind == "meaning" and one.item < len(texts)
        else one
        for one in moment.evidence
    )


def _keyframe(derived: DerivedFiles, moment: Moment) -> str | None:
    """Path relative to DAM_HOME of the best matching keyframe, else of the one at the start."""
    if not derived.has(moment.media_id, f"{KEYFRAMES}.parquet"):
        return None
    try:
        rows = derived.table(moment.media_id, KEYFRAMES).select(["time_s", "path"]).to_pylist()
    except SchemaMismatch:
        return None  # the picture is an extra; `dam doctor` names the damaged file
    pictured = next((one.item for one in moment.evidence if one.kind == "picture"), None)
    if pictured is None or pictured >= len(rows):
        before = [at for at, row in enumerate(rows) if row["time_s"] <= moment.start_s]
        pictured = max(before, default=0)
    if not rows:
        return None
    name = str(rows[pictured]["path"])
    derived.path(moment.media_id, name)  # brings it here
    return (derived.folder(moment.media_id) / name).relative_to(derived.root.parent).as_posix()
