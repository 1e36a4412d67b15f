"""One item on its way into a package: master proved, file made, looked at, hashed, put in its place."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.formats import suffix_of
from dam_pipeline.media.containers import ContainerReader
from dam_pipeline.media.decoder import Decoder
from dam_pipeline.media.exif_writer import ExifWriter
from dam_pipeline.packaging.deliverables import Bench, make_deliverable
from dam_pipeline.packaging.manifest import LeftOut, PackagedFile, PackagedItem
from dam_pipeline.packaging.masters import opened_master
from dam_pipeline.packaging.recipes import recipe_of
from dam_pipeline.packaging.thumbnails import make_thumbnail
from dam_pipeline.packaging.unfinished import Finished, Unfinished
from dam_pipeline.packaging.verification import sha256_of
from dam_pipeline.records import Json, Location, StageRow, State
from dam_pipeline.stages.outcome import as_dam_error
from dam_pipeline.stages.work import Stopped, Toolbox
from dam_pipeline.stock.record import Finding, Verdict

MEDIA = "media"
THUMBNAILS = "thumbnails"
SETTLED = (State.DONE, State.EMPTY)

_LOG = logging.getLogger(__name__)

OnShare = Callable[[float], None]


class Packing:
    """Makes the items of one package, several at a time. Use as a context manager."""

    def __init__(
        self, tools: Toolbox, agency: Agency, unfinished: Unfinished, *, link: bool, threads: int
    ) -> None:
        self._tools = tools
        self._agency = agency
        self._unfinished = unfinished
        self._folder = unfinished.folder
        self._link = link
        self._threads = threads
        self._stopping = threading.Event()
        self._benches: SimpleQueue[Bench] = SimpleQueue()
        self._resources = ExitStack()

    def __enter__(self) -> "Packing":
        for name in (MEDIA, THUMBNAILS):
            (self._folder / name).mkdir(exist_ok=True)
        for _ in range(self._threads):
            self._benches.put(self._bench())
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def stop(self) -> None:
        """Have what other threads make end soon; they raise Stopped."""
        self._stopping.set()

    def pack(
        self, verdict: Verdict, place: Location | None, on_share: OnShare
    ) -> Finished | LeftOut:
        """Make an item's files, or tell why it is left out; from any thread.

        Raises what is not the item's fault: DiskFull, ConfigurationError, Stopped.
        """
        bench = self._benches.get()
        try:
            recipe = recipe_of(self._agency, verdict)
            found = self._unfinished.finished(recipe)
            return found or self._made(bench, verdict, place, recipe, on_share)
        except Exception as error:  # noqa: BLE001 (it becomes the outcome of this item)
            return left_out(verdict, _finding(error))
        finally:
            self._benches.put(bench)

    def _made(
        self,
        bench: Bench,
        verdict: Verdict,
        place: Location | None,
        recipe: str,
        on_share: OnShare,
    ) -> Finished:
        item, name = verdict.item, verdict.submission.file_name
        part = self._folder / MEDIA / f".{item.media.media_id}.{suffix_of(name)}"

        def tell(share: float) -> None:
            self._check_stopped()
            on_share(share)

        # What a killed run left may be a link to the master: ffmpeg would write into that.
        part.unlink(missing_ok=True)
        try:
            with opened_master(self._tools, item, place, self._check_stopped) as master:
                warnings = make_deliverable(
                    bench,
                    self._tools.derived,
                    self._agency,
                    verdict,
                    master,
                    part,
                    link=self._link,
                    on_share=tell,
                )
            thumbnail = self._thumbnail(bench, verdict, part, warnings)
            file = _packaged(self._folder, part, f"{MEDIA}/{name}")
        finally:
            part.unlink(missing_ok=True)
        told = tuple(one.to_json() for one in warnings)
        finished = Finished(recipe, master.sha256, file, thumbnail, told)
        self._unfinished.note(finished)
        return finished

    def _thumbnail(
        self, bench: Bench, verdict: Verdict, deliverable: Path, warnings: list[Finding]
    ) -> PackagedFile | None:
        name = Path(verdict.submission.file_name)
        final = f"{THUMBNAILS}/{name.stem}.jpg"
        part = self._folder / THUMBNAILS / f".{verdict.item.media.media_id}.jpg"
        try:
            missing = make_thumbnail(self._tools, bench.decoder, verdict.item, deliverable, part)
            if missing is None:
                return _packaged(self._folder, part, final)
            warnings.append(missing)
            return None
        finally:
            part.unlink(missing_ok=True)

    def _check_stopped(self) -> None:
        if self._stopping.is_set():
            raise Stopped
        self._tools.check_stopped()

    def _bench(self) -> Bench:
        containers = ContainerReader()
        self._resources.callback(containers.close)
        settings = self._tools.settings
        return Bench(
            self._resources.enter_context(ExifWriter()),
            containers,
            self._resources.enter_context(Decoder(settings)),
            settings.decoder_stall_s,
        )


def left_out(verdict: Verdict, *errors: Finding) -> LeftOut:
    """The manifest's word on an item that the package does not hold."""
    media = verdict.item.media
    return LeftOut(media.media_id, media.partition_key, tuple(one.to_json() for one in errors))


def packaged_item(
    agency: Agency,
    verdict: Verdict,
    finished: Finished,
    releases: tuple[str, ...],
    rows: Mapping[str, StageRow],
) -> PackagedItem:
    """The manifest's word on an item that is packaged."""
    item, submission = verdict.item, verdict.submission
    return PackagedItem(
        media_id=item.media.media_id,
        asset_id=item.media.asset_id,
        partition_key=item.media.partition_key,
        file=finished.file.file,
        size_bytes=finished.file.size_bytes,
        sha256=finished.file.sha256,
        master_uri=item.uri,
        master_sha256=finished.master_sha256,
        title=submission.title,
        description=submission.description,
        keywords=submission.keywords,
        categories=submission.categories,
        usage=submission.usage,
        rendition=asdict(submission.rendition),
        folder=agency.transport.folders.get(item.probe.kind, ""),
        thumbnail=finished.thumbnail.file if finished.thumbnail else "",
        releases=releases,
        warnings=(*(one.to_json() for one in verdict.warnings), *finished.warnings),
        fixes=tuple(one.to_json() for one in verdict.fixes),
        said_by=dict(item.said_by),
        lineage={stage: _made_by(row) for stage, row in rows.items() if row.state in SETTLED},
        recipe=finished.recipe,
    )


def _made_by(row: StageRow) -> dict[str, Json]:
    names = ("model", "weights_sha256", "code_version", "settings_hash", "run_id", "data_version")
    return {name: getattr(row, name) for name in names}


def _packaged(folder: Path, part: Path, name: str) -> PackagedFile:
    """Put a finished file into its place."""
    file = PackagedFile(name, part.stat().st_size, sha256_of(part))
    os.replace(part, folder / name)
    return file


def _finding(error: Exception) -> Finding:
    """What is wrong with an item; raises the error again where the item is not at fault."""
    known = as_dam_error(error)
    if known is None:
        _LOG.exception("An item could not be packaged")
        words = f"unexpected {type(error).__name__}: {error}."
        return Finding("packaging", words, "Please report it with the log.")
    if known.blocks or isinstance(known, ConfigurationError):
        raise known
    return Finding("packaging", str(known), "Mend it, then package again.")
