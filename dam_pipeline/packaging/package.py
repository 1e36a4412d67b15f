"""Making a package: every item that an agency takes, its table and the checklist, the manifest last.

An item that cannot be made is left out and named. A package that was cut off has no manifest; the same
call goes on with it.
"""

import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path, PurePath

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.agencies.templates import require_template
from dam_pipeline.errors import PackageInvalid
from dam_pipeline.media.versions import tool_versions
from dam_pipeline.packaging.checklist import CHECKLIST_FILE, checklist
from dam_pipeline.packaging.manifest import (
    LeftOut,
    Manifest,
    PackagedFile,
    PackagedItem,
    write_manifest,
)
from dam_pipeline.packaging.packing import MEDIA, THUMBNAILS, Packing, left_out, packaged_item
from dam_pipeline.packaging.recipes import check_room, content_digest, needed_bytes
from dam_pipeline.packaging.releases import RELEASES, Releases
from dam_pipeline.packaging.tables import write_table
from dam_pipeline.packaging.unfinished import Finished, Unfinished
from dam_pipeline.packaging.verification import check_rows, files_of, sha256_of
from dam_pipeline.records import Location
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.record import Finding, Verdict
from dam_pipeline.stores.derived import replaced

MOST_THREADS = 4  # more wait for the disk

Progress = Callable[[int, int, str], None]
"""Called from any thread with the items that are done, how many there are, and a note."""


def make_package(
    tools: Toolbox,
    agency: Agency,
    verdicts: Sequence[Verdict],
    folder: Path,
    progress: Progress = lambda _done, _total, _note: None,
    *,
    link: bool = False,
) -> Manifest:
    """Make the package of these items in a folder: a new one, an empty one, or that of the same items.

    Items with errors are left out, as are those that cannot be made; the manifest names them. Where
    no item is left, nothing is written, and only the answer names them. With `link`, files that keep
    all of their master's bytes share them with it. Raises ConfigurationError for another folder and
    for an agency without its template, DiskFull, PackageInvalid for a table that cannot be written.
    """
    require_template(agency)
    refused = {
        one.item.media.media_id: left_out(one, *one.errors) for one in verdicts if one.errors
    }
    refused |= _unfit(agency, [one for one in verdicts if not one.errors])
    good = _remaining(verdicts, refused)
    if not good:
        return _nothing(agency, verdicts, refused)
    check_room(folder, needed_bytes(agency, good))
    with Unfinished(folder, agency.id, [one.item.media.media_id for one in verdicts]) as unfinished:
        releases = Releases(folder, agency, good)
        refused |= _without_release(releases, good)
        good = _remaining(verdicts, refused)
        with Packing(tools, agency, unfinished, link=link, threads=_threads(good)) as packing:
            made = _all_made(tools, packing, good, progress)
        refused |= {key: one for key, one in made.items() if isinstance(one, LeftOut)}
        if len(refused) == len(verdicts):
            unfinished.give_up((MEDIA, THUMBNAILS, RELEASES))
            return _nothing(agency, verdicts, refused)
        manifest = _manifest(tools, agency, verdicts, made | refused, folder, releases)
        unfinished.keep_only(_names(manifest), (MEDIA, THUMBNAILS, RELEASES))
        write_manifest(folder, manifest)
    return manifest


def _nothing(
    agency: Agency, verdicts: Sequence[Verdict], refused: Mapping[str, LeftOut]
) -> Manifest:
    left = tuple(refused[one.item.media.media_id] for one in verdicts)
    return Manifest(agency.id, agency.version, tool_versions(), (), left)


def _remaining(verdicts: Sequence[Verdict], refused: Mapping[str, LeftOut]) -> list[Verdict]:
    return [one for one in verdicts if one.item.media.media_id not in refused]


def _unfit(agency: Agency, verdicts: Sequence[Verdict]) -> dict[str, LeftOut]:
    """Items whose names or rows a package cannot hold, whatever the rules said."""
    unfit, names = {}, set[str]()
    has_bad_rows = not _has_table(agency, verdicts)
    for one in verdicts:
        name, stem = one.submission.file_name, Path(one.submission.file_name).stem.casefold()
        error = ""
        if not name or name.startswith(".") or set(name) & {"/", "\\", "\0"}:
            error = f"{name!r} cannot be the name of a file."
        elif stem in names:
            error = f"{name} is the name of another file of the package."
        elif has_bad_rows and not _has_table(agency, [one]):
            error = f"{name}: its row cannot be written into {agency.name}'s table."
        names.add(stem)
        if error:
            finding = Finding("packaging", error, "Change its texts with `dam stock edit`.")
            unfit[one.item.media.media_id] = left_out(one, finding)
    return unfit


def _has_table(agency: Agency, verdicts: Sequence[Verdict]) -> bool:
    """Whether the table of these items can be written, and read back."""
    submissions = [one.submission for one in verdicts]
    with tempfile.TemporaryDirectory() as folder:
        try:
            check_rows(
                agency, submissions, write_table(agency, submissions, Path(folder) / "table")
            )
        except PackageInvalid:
            return False
    return True


def _without_release(releases: Releases, verdicts: Sequence[Verdict]) -> dict[str, LeftOut]:
    return {
        one.item.media.media_id: left_out(one, *missing)
        for one in verdicts
        if (missing := releases.missing(one))
    }


def _all_made(
    tools: Toolbox, packing: Packing, verdicts: Sequence[Verdict], progress: Progress
) -> dict[str, Finished | LeftOut]:
    """What became of the items, by media id; in threads, as exiftool and ffmpeg are processes."""
    places = _places(tools, verdicts)
    made: dict[str, Finished | LeftOut] = {}
    telling = threading.Lock()

    def tell(name: str, share: float) -> None:
        with telling:
            progress(len(made), len(verdicts), f"{name} {share:.0%}" if share else name)

    def pack(verdict: Verdict) -> Finished | LeftOut:
        name, media_id = verdict.submission.file_name, verdict.item.media.media_id
        tell(name, 0.0)
        return packing.pack(verdict, places.get(media_id), lambda share: tell(name, share))

    with ThreadPoolExecutor(_threads(verdicts), thread_name_prefix="packaging") as pool:
        waiting = {pool.submit(pack, one): one.item.media.media_id for one in verdicts}
        try:
            for future in as_completed(waiting):
                made[waiting[future]] = future.result()
        except BaseException:
            packing.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    progress(len(made), len(verdicts), "")
    return made


def _places(tools: Toolbox, verdicts: Sequence[Verdict]) -> dict[str, Location]:
    """Where the masters are, by media id."""
    uris = {one.item.media.media_id: one.item.uri for one in verdicts}
    found = tools.catalogue.locations_of(list(uris))
    return {
        media_id: place
        for media_id, places in found.items()
        for place in places
        if place.uri == uris[media_id]
    }


def _manifest(
    tools: Toolbox,
    agency: Agency,
    verdicts: Sequence[Verdict],
    outcomes: Mapping[str, Finished | LeftOut],
    folder: Path,
    releases: Releases,
) -> Manifest:
    """The manifest, with table and checklist written."""
    rows = tools.catalogue.states.of(list(outcomes))
    items: list[PackagedItem] = []
    refused: list[LeftOut] = []
    packaged: list[Verdict] = []
    thumbnails: list[PackagedFile] = []
    for verdict in verdicts:
        media_id = verdict.item.media.media_id
        outcome = outcomes[media_id]
        if isinstance(outcome, LeftOut):
            refused.append(outcome)
            continue
        its_releases = releases.files_of(verdict)
        items.append(packaged_item(agency, verdict, outcome, its_releases, rows[media_id]))
        packaged.append(verdict)
        thumbnails += [outcome.thumbnail] if outcome.thumbnail else []
    tables = _tables(agency, packaged, folder)
    manifest = Manifest(
        agency=agency.id,
        agency_version=agency.version,
        tools=tool_versions(),
        items=tuple(items),
        left_out=tuple(refused),
        table=tables[0] if tables else None,
        files=(*thumbnails, *releases.packaged(packaged), *tables[1:]),
    )
    text = checklist(agency, manifest, [one.submission for one in packaged])
    return _with_checklist(text, manifest, folder)


def _with_checklist(text: str, manifest: Manifest, folder: Path) -> Manifest:
    with replaced(folder / CHECKLIST_FILE) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return replace(manifest, checklist=_file(folder, CHECKLIST_FILE))


def _tables(agency: Agency, verdicts: Sequence[Verdict], folder: Path) -> list[PackagedFile]:
    """The agency's table, and what its limits make go into further files; none where it takes none."""
    rules = agency.table
    if rules is None or not verdicts:
        return []
    name = PurePath(rules.file_name)
    for old in folder.glob(f"{name.stem}-*{name.suffix}"):
        old.unlink()  # of an earlier run that needed more files, or had other content
    if rules.goes_by == "upload":  # several packages may meet in one folder over there
        name = name.with_stem(f"{name.stem}-{content_digest(agency, verdicts)}")
    submissions = [one.submission for one in verdicts]
    paths = write_table(agency, submissions, folder / name)
    check_rows(agency, submissions, paths)
    return [_file(folder, path.name, rules.goes_by) for path in paths]


def _file(folder: Path, name: str, goes_by: str = "") -> PackagedFile:
    path = folder / name
    return PackagedFile(name, path.stat().st_size, sha256_of(path), goes_by)


def _names(manifest: Manifest) -> set[str]:
    return {one.file for one in files_of(manifest)}


def _threads(verdicts: Sequence[Verdict]) -> int:
    """Each has an exiftool and decoder of its own, so no more than there is work for."""
    return max(1, min(MOST_THREADS, os.cpu_count() or 1, len(verdicts)))
