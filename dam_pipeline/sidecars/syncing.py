"""Bringing sidecars and the library together: what would be done to each, and doing it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dam_pipeline.errors import DamError, SchemaMismatch, SourceChanged, UnreadableMedia
from dam_pipeline.identity import display_name, path_to_uri
from dam_pipeline.records import Json, Media
from dam_pipeline.sidecars.fields import KEYWORDS, Value, Values
from dam_pipeline.sidecars.files import put_sidecar, read_sidecar
from dam_pipeline.sidecars.library import Said, load_said
from dam_pipeline.sidecars.merging import Merge, Side, merge
from dam_pipeline.sidecars.naming import Naming, below
from dam_pipeline.sidecars.packet import changed_packet, empty_packet, read_packet
from dam_pipeline.sidecars.synced import Synced
from dam_pipeline.sidecars.taking import refusals, take_over
from dam_pipeline.stages.work import Toolbox

AT_ONCE = 200  # media whose records are read together
TRIES = 5


@dataclass(frozen=True, slots=True)
class Options:
    """Where sidecars are, and what may be done to them.

    `folder` None: beside the originals. `writes` sidecars, `takes` over into the library; with neither
    nothing is changed. `prefer` decides conflicts.
    """

    folder: Path | None
    writes: bool = False
    takes: bool = False
    prefer: Side = ""

    @property
    def only_writes(self) -> bool:
        """Whether words go out and none come in."""
        return self.writes and not self.takes


@dataclass(frozen=True, slots=True)
class Synchronised:
    """What became of one media's sidecar: fields that differ, what was done, or why nothing was."""

    media: Media
    sidecar: Path | None
    exists: bool = False
    fields: tuple[Merge, ...] = ()
    written: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    error: str = ""

    @property
    def conflicts(self) -> tuple[str, ...]:
        """The fields that a person has to decide."""
        return tuple(one.field for one in self.fields if one.verdict == "conflict")

    def to_json(self) -> dict[str, Json]:
        """The documented form."""
        return {
            "media_id": self.media.media_id,
            "partition_key": self.media.partition_key,
            "sidecar": path_to_uri(self.sidecar) if self.sidecar else "",
            "exists": self.exists,
            "fields": [one.to_json() for one in self.fields],
            "written": list(self.written),
            "taken": list(self.taken),
            "conflicts": list(self.conflicts),
            "error": self.error,
        }


def synchronise(tools: Toolbox, media: Sequence[Media], options: Options) -> Iterator[Synchronised]:
    """Bring each media and its sidecar together as far as the options go, one after the other.

    What is wrong with one is told in its `error`, and the next one follows. Whatever stops this in
    between, what was done is whole. Raises SchemaMismatch for a damaged journal.
    """
    synced, naming = Synced(tools.settings), Naming(tools.settings.sidecar_names)
    try:
        for start in range(0, len(media), AT_ONCE):
            some = media[start : start + AT_ONCE]
            said = load_said(tools, some)
            places = tools.catalogue.locations_of([one.media_id for one in some])
            for one in some:
                here = places[one.media_id]
                uri = here[0].uri if here else ""
                yield _Sync(tools, options, synced, naming).of(one, said.get(one.media_id), uri)
    finally:
        synced.flush()


@dataclass(frozen=True, slots=True)
class _Sync:
    tools: Toolbox
    options: Options
    synced: Synced
    naming: Naming

    def of(self, media: Media, said: Said | None, uri: str) -> Synchronised:
        """One media brought together with its sidecar; errors are told in it."""
        path = None
        try:
            known = _probed(said)
            path = self._path(media, uri)
            if self.options.folder is None:
                known = known.apart_from(path)
            if self.options.only_writes and not known.has_words:
                known = replace(known, embedded={})
            return self._tried(media, known, path)
        except DamError as error:
            why = str(error)
        except OSError as error:
            why = f"cannot be used ({error.strerror}). Give another folder: --out DIR."
        name = display_name(path_to_uri(path)) if path else f"the sidecar of {media.partition_key}"
        return Synchronised(media, path, error=f"{name} {why}")

    def _path(self, media: Media, uri: str) -> Path:
        if self.options.folder is None:
            return self.naming.beside(uri)
        return below(self.options.folder, uri, media.partition_key)

    def _tried(self, media: Media, said: Said, path: Path) -> Synchronised:
        """As often as somebody else writes the sidecar meanwhile, it is read and merged anew."""
        for _ in range(TRIES - 1):
            try:
                return self._once(media, said, path)
            except SourceChanged:
                continue
        return self._once(media, said, path)

    def _once(self, media: Media, said: Said, path: Path) -> Synchronised:
        content = read_sidecar(path)
        theirs = read_packet(content) if content else {}
        base = self.synced.base(said.asset_id, path) if content else None
        merges = merge(base or {}, said.ours(base, theirs), theirs, self.options.prefer)
        merges = self._possible(said, merges)
        if said.trouble and _telling(merges):
            raise UnreadableMedia(f"is left alone: {said.trouble}")
        done = Synchronised(media, path, content is not None, _telling(merges))
        if self.options.writes:
            done = self._write(done, said, merges, content)
        if self.options.takes:
            take_over(self.tools.settings, said, merges)
            done = replace(done, taken=_names(merges, "take"))
        if (self.options.writes or self.options.takes) and (done.exists or done.written):
            self.synced.note(said.asset_id, path, self._agreed(base or {}, merges))
        return done

    def _possible(self, said: Said, merges: Sequence[Merge]) -> list[Merge]:
        """What the library cannot take over is a conflict, unless nothing is to be taken."""
        if self.options.only_writes:
            return list(merges)
        refused = refusals(said, merges)
        return [
            replace(one, verdict="conflict", why=refused[one.field])
            if one.field in refused
            else one
            for one in merges
        ]

    def _write(
        self, done: Synchronised, said: Said, merges: Sequence[Merge], content: bytes | None
    ) -> Synchronised:
        names = _names(merges, "write")
        if names and done.sidecar:
            wanted: dict[str, Value] = {one.field: one.merged for one in merges if one.merged}
            paths = said.paths(wanted.get(KEYWORDS, ()))
            changed = changed_packet(content or empty_packet(), wanted, names, paths)
            put_sidecar(done.sidecar, changed, content)
        return replace(done, written=names)

    def _agreed(self, base: Values, merges: Sequence[Merge]) -> dict[str, Value]:
        """What both say from now on; fields that were left alone stay as they were."""
        agreed = dict(base)
        for one in merges:
            value = one.base
            if one.verdict == "same" or (one.verdict == "take" and self.options.takes):
                value = one.merged
            elif one.changes_sidecar and self.options.writes:
                # Keywords of theirs that were not taken over are still theirs alone.
                value = one.merged if self.options.takes else one.ours
            if value:
                agreed[one.field] = value
            else:
                agreed.pop(one.field, None)
        return agreed


def _probed(said: Said | None) -> Said:
    if said is None:
        raise SchemaMismatch("was never probed. Run `dam retry --stage probe`, then this again.")
    return said


def _telling(merges: Sequence[Merge]) -> tuple[Merge, ...]:
    return tuple(one for one in merges if one.verdict != "same")


def _names(merges: Sequence[Merge], direction: str) -> tuple[str, ...]:
    return tuple(one.field for one in merges if one.verdict in (direction, "both"))
