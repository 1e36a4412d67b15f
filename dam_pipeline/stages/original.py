"""The original of one media on its way through the stages: opened, read by ranges, copied, checked."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dam_pipeline.errors import SourceChanged, SourceUnavailable
from dam_pipeline.identity import WHOLE_UP_TO_BYTES, uri_to_path
from dam_pipeline.records import Location, Media, MediaKind
from dam_pipeline.sources.listing import Listed
from dam_pipeline.sources.originals import (
    bring_sidecars,
    check_remote,
    is_remote,
    local_name,
    sidecars_at,
)
from dam_pipeline.sources.window import View, Window
from dam_pipeline.stages.scratch import Copies

COPY_FOLDER = "original"
SIDECARS_FOLDER = "sidecars"
RANGES_FOLDER = "ranges"


class Original:
    """Where a media's file is now, on a disk or in a bucket, and how programs get at it.

    `location` is None when it is at no known place. `window` and `scratch` (the media's own folder)
    are opened when they are needed.
    """

    def __init__(
        self,
        media: Media,
        location: Location | None,
        copies: Copies,
        window: Callable[[], Window],
        scratch: Callable[[], Path],
    ) -> None:
        self._media = media
        self._location = location
        self._copies = copies
        self._window = window
        self._scratch = scratch

    @property
    def path(self) -> Path:
        """Where the original can be opened: a remote one is brought to the scratch folder first.

        Raises SourceUnavailable when it is nowhere at present or cannot be reached, SourceChanged
        or UnreadableMedia when it cannot be brought here as it was registered.
        """
        place = self._place
        if not is_remote(place.uri):
            return uri_to_path(place.uri)
        folder = self._scratch() / COPY_FOLDER
        return self._copies.path(self._media.media_id, self.listed, folder)

    @contextmanager
    def opened(self) -> Iterator[str | Path]:
        """What a decoder is to open: `path`, or a window on a remote recording without room for it.

        Raises as `path`; what goes wrong with the store meanwhile counts as its error.
        """
        if not self.is_remote or not self.is_over_limit or not self._is_recording:
            yield self.path
            return
        with self._window().open(self.listed) as view:
            yield view.url

    @contextmanager
    def ranges(self) -> Iterator[View | None]:
        """A window on a remote recording, for a part of it; None for what is opened at `path`.

        Shorter ones are not worth it: a probe reads most of them.
        """
        is_large = self._place.size_bytes > WHOLE_UP_TO_BYTES or self.is_over_limit
        is_whole = self.has_copy or not is_large or not self._is_recording
        if not self.is_remote or is_whole:
            yield None
            return
        folder = self._scratch() / RANGES_FOLDER
        folder.mkdir(exist_ok=True)
        try:
            part = folder / local_name(self._place.uri)
            with self._window().open(self.listed, part) as view:
                yield view
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def listed(self) -> Listed:
        """The original as it was found; raises SourceUnavailable when it is nowhere."""
        place = self._place
        return Listed(place.uri, place.size_bytes, place.mtime_ns)

    @property
    def is_remote(self) -> bool:
        """Whether it lies in a bucket; raises SourceUnavailable when it is nowhere."""
        return is_remote(self._place.uri)

    @property
    def has_copy(self) -> bool:
        """Whether a copy of the remote original is here."""
        return self._copies.has(self._media.media_id)

    @property
    def is_over_limit(self) -> bool:
        """Whether there is never room for a copy of it."""
        return self._place.size_bytes > self._copies.limit_bytes

    def sidecars(self) -> list[Path]:
        """The files beside the original; of a remote one copies, of large ones only their size."""
        place = self._place
        if not is_remote(place.uri):
            return sidecars_at(uri_to_path(place.uri))
        folder = self._scratch() / SIDECARS_FOLDER
        folder.mkdir(exist_ok=True)
        return bring_sidecars(place.uri, folder)

    def check(self) -> None:
        """Raise SourceUnavailable or SourceChanged when the original is not what was registered."""
        known = self._place
        if is_remote(known.uri):
            # A copy does not change any more, whatever becomes of what it was made from.
            if not self.has_copy:
                check_remote(self.listed)
            return
        path = uri_to_path(known.uri)
        try:
            found = path.stat()
        except FileNotFoundError as error:
            raise SourceUnavailable(
                f"{path} is gone. Bring it back, or ingest its new place, then `dam retry`."
            ) from error
        if (found.st_size, found.st_mtime_ns) != (known.size_bytes, known.mtime_ns):
            raise SourceChanged(
                f"{path} changed after it was found. It is taken anew at the next look "
                "(`dam ingest` does it now)."
            )

    @property
    def _is_recording(self) -> bool:
        return self._media.kind is not MediaKind.IMAGE

    @property
    def _place(self) -> Location:
        if self._location is None:
            raise SourceUnavailable(
                f"{self._media.first_name} is at none of its known places. Bring it back or "
                "`dam ingest` its new place."
            )
        return self._location
