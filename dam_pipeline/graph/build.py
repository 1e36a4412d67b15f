"""Builds the library's graph from derived files: node tables, edges of every kind, one DuckDB file.

A build goes on from the graph before: only what changed files have a say in is found anew, and the
result is the same as of a build from nothing. How each kind of edge is found is in a file of its
own; how files are versioned is in `versions`.
"""

import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dam_pipeline import __version__, models, schemas
from dam_pipeline.catalogue.catalogue import Catalogue, now_iso
from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.graph import communities, same_words, sightings, tags, takes
from dam_pipeline.graph import database as db
from dam_pipeline.graph.edges import CONTINUES, SAME_FACE, SAME_WORDS
from dam_pipeline.graph.kinds import CLIP_STAGE, PRINT_STAGE, Kind, pairwise_kinds
from dam_pipeline.graph.loading import Library
from dam_pipeline.graph.pairs import PAIRS_KEPT
from dam_pipeline.graph.speech import SHINGLE_WORDS
from dam_pipeline.graph.tables import NODE_STAGES, OWN_TABLES
from dam_pipeline.graph.versions import current, graph_path, new_version
from dam_pipeline.records import Json, Space
from dam_pipeline.settings import Settings
from dam_pipeline.stores.derived import DerivedFiles

STAGES_READ = (*NODE_STAGES, CLIP_STAGE, PRINT_STAGE, "probe", "tags")
SPEECH_STAGE = "transcript"

Spaces = Mapping[str, Space | None]
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class GraphReport:
    """What was built: counts of nodes and edges by kind, the file, and what was left out and why.

    `mode` is `incremental`, or `full` with the reason; `changed` is how many files were new, had new
    results, or went.
    """

    nodes: Mapping[str, int]
    edges: Mapping[str, int]
    seconds: float
    path: Path
    warnings: tuple[str, ...] = ()
    mode: str = "full"
    changed: int = 0
    communities: int = 0
    people: int = 0


class _Unfit(StoreUnavailable):
    """The graph before is not one to go on from; the message says why."""


def build_graph(
    settings: Settings,
    catalogue: Catalogue,
    derived: DerivedFiles,
    run_id: str,
    spaces: Spaces | None = None,
    on_progress: Progress = lambda _part, _share: None,
    *,
    full: bool = False,
) -> GraphReport:
    """Bring the graph to all media that are not superseded and make it the current one.

    `spaces` are the active ones by kind (`image_text`, `face`), by default those of the settings;
    a kind without a space has no edges of its own, with a warning. `on_progress` hears the part
    and the share (0–1) that is done. `full` builds from nothing. Raises StoreUnavailable, DiskFull;
    until the end, and after any error, readers see the graph before.
    """
    began = time.monotonic()
    if spaces is None:
        spaces = models.spaces(settings)
    newest = catalogue.states.newest()
    library = Library(catalogue, derived, catalogue.all_media(), STAGES_READ)
    builder = _Builder(settings, library, spaces, newest, on_progress)
    with new_version(settings) as path:
        try:
            if full:
                raise _Unfit("full (asked for)")
            _copy(settings, path)
            mode = "incremental"
            builder.build(path, run_id, mode, began)
        except StoreUnavailable as error:
            mode = str(error) if isinstance(error, _Unfit) else "full (the one before is damaged)"
            path.unlink(missing_ok=True)
            builder = _Builder(settings, library, spaces, newest, on_progress)
            with db.opened(path, writable=True) as connection:
                db.make_tables(connection)
            builder.build(path, run_id, mode, began)
    on_progress("done", 1.0)
    return GraphReport(
        nodes=builder.nodes,
        edges=builder.edges,
        seconds=time.monotonic() - began,
        path=graph_path(settings),
        warnings=(*library.warnings, *builder.warnings),
        mode=mode,
        changed=len(builder.changed),
        communities=builder.communities,
        people=builder.people,
    )


def _copy(settings: Settings, path: Path) -> None:
    before = current(settings)
    if before is None:
        raise _Unfit("full (the first)")
    shutil.copyfile(before, path)
    with db.opened(path) as connection:
        if db.read_meta(connection).get("base") != _base():
            raise _Unfit("full (the one before is of another version of dam_pipeline)")


def _base() -> dict[str, Json]:
    """All that decides the form of the whole file."""
    tables = {**dict(NODE_STAGES.values()), **OWN_TABLES}
    columns = {name: schema.to_string() for name, schema in tables.items()}
    return {"format": db.FORMAT, "dam_pipeline": __version__, "tables": columns}


class _Builder:
    """The parts of one build, in order, with their counts."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        spaces: Spaces,
        newest: str,
        on_progress: Progress,
    ) -> None:
        self.nodes: dict[str, int] = {}
        self.edges: dict[str, int] = {}
        self.communities = 0
        self.people = 0
        self.changed: set[str] = set()
        self.warnings: list[str] = []
        self._settings = settings
        self._library = library
        self._spaces = spaces
        self._newest = newest
        self._progress = on_progress
        self._before: dict[str, dict[str, str]] = {}
        self._made_from: dict[str, dict[str, str]] = {}
        self._recipes: dict[str, Json] = {}

    def build(self, path: Path, run_id: str, mode: str, began: float) -> None:
        """Bring the file at `path`, empty tables or a graph before, to the library as it is now."""
        with db.opened(path, writable=True) as connection:
            connection.begin()  # one wait for the disk, not one a statement
            meta = db.read_meta(connection)
            self._before = db.read_made_from(connection)
            self._write_nodes(connection)
            self._write_edges(connection, meta.get("recipes", {}))
            self._progress("people", 0.85)
            face = self._spaces.get("face")
            faces = self._before.get(SAME_FACE, {}), self._made_from[SAME_FACE]
            self.people = sightings.write_people(connection, self._library, face, *faces)
            self._progress("communities", 0.9)
            labels = tags.write_tags(
                connection, self._settings, self._library, self._before, self._made_from
            )
            self.communities = communities.write_communities(connection, labels)
            db.write_made_from(connection, self._made_from)
            db.write_meta(connection, self._meta(run_id, mode, time.monotonic() - began))
            for name in ("media", *(name for name, _ in NODE_STAGES.values())):
                self.nodes[name] = db.count_rows(connection, name)
            found = db.count_edges(connection)
            self.edges = {kind: found.get(kind, 0) for kind in self._recipes}
            connection.commit()
            connection.execute("CHECKPOINT")

    def _write_nodes(self, connection: Any) -> None:
        self._progress("nodes", 0.0)
        db.write_table(connection, "media", self._library.media_rows())
        self._made_from["media"] = {one.media_id: "" for one in self._library.media}
        self.changed |= self._stale("media")
        for stage, (name, schema) in NODE_STAGES.items():
            self._made_from[name] = self._library.versions(stage, schema)
            self._warn_of_unread(stage, self._made_from[name])
            stale = self._stale(name)
            self.changed |= stale
            if name not in self._before:
                db.write_table(connection, name, self._rows(stage, schema, []))
            if stale:
                fresh = stale & self._made_from[name].keys()
                db.replace_rows(connection, name, stale, self._rows(stage, schema, fresh))

    def _rows(self, stage: str, schema: Any, media_ids: Collection[str]) -> Any:
        return self._library.rows(stage, schema, media_ids).with_keys()

    def _warn_of_unread(self, stage: str, read: Collection[str]) -> None:
        entries = self._library.stage(stage).entries.values()
        if old := sum(1 for entry in entries if entry.rows and entry.media_id not in read):
            self.warnings.append(
                f"{old} files have {stage} of an older form, which are left out. "
                f"Run `dam retry --stale --stage {stage}`."
            )

    def _stale(self, what: str) -> set[str]:
        """Media that had a part in what is in the graph now, or have one, and not the same."""
        before, now = self._before.get(what, {}), self._made_from[what]
        return {one for one in before.keys() | now.keys() if before.get(one) != now.get(one)}

    def _write_edges(self, connection: Any, recipes: Mapping[str, Json]) -> None:
        for number, kind in enumerate(pairwise_kinds(self._library, self._spaces)):
            self._progress(kind.name, 0.1 + 0.2 * number)
            self._remember(kind.name, kind.recipe, kind.versions, recipes)
            self._write_pairs(connection, kind)
        self._progress(SAME_WORDS, 0.7)
        self._write_same_words(connection, recipes)
        self._progress(CONTINUES, 0.8)
        self._write_continues(connection)
        for kind_of_space, names in {"image_text": "looks_like", "face": "same_face"}.items():
            if self._spaces.get(kind_of_space) is None:
                self.warnings.append(
                    f"No {names} edges: the weights of the {kind_of_space} model are missing. "
                    "`dam models list` says how to get them."
                )

    def _remember(
        self, kind: str, recipe: Json, versions: Mapping[str, str], recipes: Mapping[str, Json]
    ) -> None:
        self._recipes[kind] = recipe
        self._made_from[kind] = dict(versions)
        if recipes.get(kind) != recipe:
            # A version that none has: all that there was is stale.
            self._before[kind] = dict.fromkeys(self._before.get(kind, {}), "of another recipe")

    def _write_pairs(self, connection: Any, kind: Kind) -> None:
        stale = self._stale(kind.name)
        if not stale:
            return
        self.changed |= stale
        if kind.kept:
            stale |= db.bereft_media(connection, kind.name, stale, kind.kept)
        db.forget_edges(connection, kind.name, stale)
        if new := stale & kind.versions.keys():
            db.write_edges(connection, kind.find(new))
        if kind.kept and (crowded := db.media_with_edges(connection, kind.name, kind.kept)):
            db.cut_edges(connection, kind.name, kind.kept)
            self.warnings.append(
                f"{crowded} files have so many {kind.name} relations that only the {kind.kept} "
                "strongest of each were sure to be kept."
            )

    def _write_same_words(self, connection: Any, recipes: Mapping[str, Json]) -> None:
        schema = schemas.TRANSCRIPT
        versions = self._library.versions(SPEECH_STAGE, schema)
        recipe = {
            "code": 1,
            "shingle_words": SHINGLE_WORDS,
            "most_media": same_words.MOST_MEDIA,
            "least_shared": same_words.LEAST_SHARED,
        }
        self._remember(SAME_WORDS, recipe, versions, recipes)
        stale = self._stale(SAME_WORDS)
        if stale or SAME_WORDS not in self._before:
            found = same_words.same_words(
                connection,
                lambda ids: self._library.rows(SPEECH_STAGE, schema, ids),
                stale,
                stale & versions.keys(),
            )
            db.write_edges(connection, found)

    def _write_continues(self, connection: Any) -> None:
        self._recipes[CONTINUES] = {"code": 1}
        connection.execute("DELETE FROM edges WHERE kind = ?", [CONTINUES])
        db.write_edges(
            connection, takes.found_continues(self._library, self._spaces.get("image_text"))
        )

    def _meta(self, run_id: str, mode: str, seconds: float) -> dict[str, Json]:
        return {
            "dam_pipeline": __version__,
            "base": _base(),
            "run_id": run_id,
            "built_at": now_iso(),
            "newest_state": self._newest,
            "seconds": round(seconds, 3),
            "mode": mode,
            "changed": len(self.changed),
            "spaces": {k: asdict(space) if space else None for k, space in self._spaces.items()},
            "recipes": self._recipes,
            "thresholds": {"pairs_kept": PAIRS_KEPT},
        }
