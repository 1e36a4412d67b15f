"""What a stage works with: one file (`Work`) and the opened tools of a home (`Toolbox`)."""

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Self

import pyarrow as pa

from dam_pipeline.catalogue.active_models import in_use, stems_of
from dam_pipeline.catalogue.catalogue import Catalogue, open_catalogue
from dam_pipeline.catalogue.spaces import SpaceRecord, Status
from dam_pipeline.events import sinks_of
from dam_pipeline.media.decoder import Decoder
from dam_pipeline.media.probing import Prober
from dam_pipeline.models import (
    FaceModel,
    ImageTextModel,
    SentenceModel,
    SpeechModel,
    open_face,
    open_image_text,
    open_sentence,
    open_speech,
)
from dam_pipeline.records import Json, Location, Look, Media, Probe, StageRow
from dam_pipeline.settings import Settings
from dam_pipeline.sources.window import Window
from dam_pipeline.stages.original import Original
from dam_pipeline.stages.scratch import Copies, Room, make_scratch
from dam_pipeline.stores.shared_files import open_derived
from dam_pipeline.stores.vectors import VectorStore, open_vector_store

DECODING = ("poster", "shots", "transcript")  # the stages that read the whole original


class Stopped(BaseException):
    """The run was told to end: what is under way is dropped, not recorded."""


class Toolbox:
    """Everything opened under one home; models, decoder and store are opened at first use."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        resources: ExitStack,
        space: SpaceRecord | None = None,
    ) -> None:
        self.asked = settings  # as a person set them
        self.settings = settings
        self.catalogue = catalogue
        self.derived = open_derived(settings, lambda: self.scratch)
        self._space = space
        self._views: dict[str, Toolbox] = {}
        self.follow_spaces()
        self.tell_progress: Callable[[str, float], None] = lambda _key, _share: None
        self.tell_finished: Callable[[str, str, str], None] = lambda _key, _stage, _state: None
        self._resources = resources
        self._stopping = threading.Event()
        room = Room(settings.scratch_bytes, lambda: self.scratch)
        self.copies = Copies(room, self.check_stopped)

    def follow_spaces(self) -> None:
        """Take the embedding spaces that are active now; between runs, never within one.

        Models of spaces that are not active any more are let go.
        """
        records = self.catalogue.spaces.all()
        if self._space:
            records = [one for one in records if one.kind != self._space.kind]
            records.append(replace(self._space, status=Status.ACTIVE))
        settings, stems = in_use(self.asked, records), stems_of(records)
        self.catalogue.states.stems = stems
        self.derived.stems = stems
        if settings != self.settings:
            self.settings = settings
            for name in ("image_text", "face", "sentence"):
                self.__dict__.pop(name, None)

    def in_space(self, space: SpaceRecord) -> "Toolbox":
        """The tools as they would be with another embedding space active: its model, its files."""
        view = self._views.get(space.name)
        if view is None:
            view = Toolbox(self.asked, self.catalogue.viewed({}), self._resources, space)
            view.derived = copy(self.derived)  # one cache, and one memory of what was written
            view.__dict__["store"] = self.store
            self._views[space.name] = view
        view.follow_spaces()
        view.tell_progress, view.tell_finished = self.tell_progress, self.tell_finished
        return view

    def stop(self) -> None:
        """Make all threads that work with these tools end soon; the decoder drops its file."""
        self._stopping.set()
        for view in self._views.values():
            view.stop()
        if "decoder" in self.__dict__:
            self.decoder.interrupt()

    def go_on(self) -> None:
        """Let the next run begin."""
        self._stopping.clear()
        for view in self._views.values():
            view.go_on()

    def check_stopped(self) -> None:
        """Raise Stopped after `stop`."""
        if self._stopping.is_set():
            raise Stopped

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Iterator[Self]:
        """Open the catalogue now and the rest when asked; closes all at the end."""
        with ExitStack() as resources:
            catalogue = resources.enter_context(
                open_catalogue(settings.home, settings.postgres_url, sinks_of(settings))
            )
            yield cls(settings, catalogue, resources)

    @cached_property
    def window(self) -> Window:
        """Where programs read remote originals by ranges."""
        window = Window()
        self._resources.callback(window.close)
        return window

    @cached_property
    def prober(self) -> Prober:
        """Reader of headers and embedded metadata."""
        return self._resources.enter_context(Prober())

    @cached_property
    def decoder(self) -> Decoder:
        """The child process that decodes pictures."""
        return self._resources.enter_context(Decoder(self.settings))

    @cached_property
    def sound_decoder(self) -> Decoder:
        """The child process that decodes sound, while the other one is at the next pictures."""
        return self._resources.enter_context(Decoder(self.settings))

    @cached_property
    def store(self) -> VectorStore:
        """The vector store."""
        store = open_vector_store(self.settings)
        self._resources.callback(store.close)
        return store

    @cached_property
    def image_text(self) -> ImageTextModel:
        """The active image-text model; raises WeightsMissing."""
        return open_image_text(self.settings)

    @cached_property
    def face(self) -> FaceModel:
        """The face detector and recogniser; raises WeightsMissing."""
        return open_face(self.settings)

    @cached_property
    def speech(self) -> SpeechModel:
        """The speech model behind its voice gate; raises WeightsMissing."""
        return open_speech(self.settings)

    @cached_property
    def sentence(self) -> SentenceModel:
        """The active sentence model; raises WeightsMissing."""
        return open_sentence(self.settings)

    @cached_property
    def scratch(self) -> Path:
        """A folder of this process for unfinished files, on the disk of the derived files."""
        folder = make_scratch(self.settings.home)
        self._resources.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder


class Work:
    """One media file on its way through the stages of a batch."""

    def __init__(
        self, media: Media, location: Location | None, rows: Mapping[str, StageRow], tools: Toolbox
    ) -> None:
        self.media = media
        self.original = Original(
            media, location, tools.copies, lambda: tools.window, lambda: self.scratch
        )
        self.rows = dict(rows)
        self.look: Look | None = None
        self._tools = tools
        self._sha256 = ""

    @property
    def is_streamed(self) -> bool:
        """Whether to read all of a remote original without keeping it: nobody else wants a copy."""
        original = self.original
        if not original.is_remote or original.has_copy:
            return False
        return original.is_over_limit or all(stage in self.rows for stage in DECODING)

    def names(self) -> set[str]:
        """The names of the media's derived files."""
        return self._tools.derived.names(self.media.media_id)

    def file(self, name: str) -> Path:
        """A derived file of the media, such as a keyframe, to be read; it may not be there."""
        return self._tools.derived.path(self.media.media_id, name)

    def take_in(self, name: str, path: Path) -> None:
        """Move a finished file, or a folder of them, to the media's derived files."""
        self._tools.derived.take_in(self.media.media_id, name, path)

    def forget(self, names: Iterable[str]) -> None:
        """Delete some of the media's derived files."""
        self._tools.derived.forget(self.media.media_id, names)

    @property
    def scratch(self) -> Path:
        """A scratch folder of this media alone; made when asked for."""
        folder = self._tools.scratch / self.media.media_id
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def probe(self) -> Probe:
        """The stored probe, which every stage but `probe` and `checksum` may count on."""
        return Probe.from_json(self.result("probe"))

    @property
    def sha256(self) -> str:
        """SHA-256 of the original (64 hex digits), or empty where `checksum` has not settled."""
        if not self._sha256 and "checksum" in self.rows:
            self._sha256 = str(self.result("checksum").get("sha256", ""))
        return self._sha256

    def result(self, stage: str) -> Mapping[str, Json]:
        """The stored small result of an earlier stage; empty when it has none."""
        stored = self._tools.derived.outcome(self.media.media_id, stage)
        return stored.result if stored else {}

    def has_rows(self, stage: str) -> bool:
        """Whether an earlier stage is settled and left a table."""
        return self._tools.derived.has_table(self.media.media_id, stage)

    def table(self, stage: str) -> pa.Table:
        """The stored rows of an earlier stage; raises SchemaMismatch."""
        return self._tools.derived.table(self.media.media_id, stage)

    def progress(self, share: float) -> None:
        """Tell how much (0–1) of the present stage is done; raises Stopped when the run ends."""
        self._tools.check_stopped()
        self._tools.tell_progress(self.media.partition_key, share)

    def clean(self) -> None:
        """Delete the scratch files, the copy of a remote original with them."""
        self._tools.copies.drop(self.media.media_id)
        shutil.rmtree(self._tools.scratch / self.media.media_id, ignore_errors=True)
