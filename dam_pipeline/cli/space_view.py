"""What `dam space` is told and tells: lines of queries, rows of spaces, comparisons."""

from pathlib import Path
from typing import TYPE_CHECKING

from dam_pipeline.cli.output import Exit, print_json, say, table
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json

if TYPE_CHECKING:
    from dam_pipeline.catalogue.spaces import SpaceRecord
    from dam_pipeline.spaces.comparing import Comparison
    from dam_pipeline.stages.work import Toolbox


def about(tools: "Toolbox", record: "SpaceRecord") -> dict[str, Json]:
    """The documented form of a space, with the number of files that have vectors in it."""
    states = tools.catalogue.spaces.states(record)
    return {
        "kind": record.kind,
        "name": record.name,
        "model": record.model,
        "status": record.status.value,
        "dimension": record.dimension,
        "files": sum(state == "done" for state, _version in states.values()),
        "added_at": record.added_at,
        "switched_at": record.switched_at,
        "comparison": dict(record.comparison) or None,
    }


def weighed(row: dict[str, Json]) -> str:
    """The last comparison in a few words."""
    found = row["comparison"]
    if not found:
        return ""
    recall = "" if found["recall"] is None else f"recall {found['recall']:.0%}, "
    shared = "" if found["overlap"] is None else f"overlap {found['overlap']:.0%}"
    return f"{recall}{shared}"


def tell(found: "Comparison", as_json: bool) -> int:
    """Tell a comparison; the exit code says whether the space is fit."""
    if as_json:
        print_json(found.to_json())
    else:
        table(
            ("", "value"),
            [
                ("files covered", f"{found.covered} of {found.wanted}"),
                (f"overlap@{found.k}", _share(found.overlap, found.queries, "queries")),
                (f"recall@{found.k}", _share(found.recall, found.pairs, "pairs")),
                (
                    f"recall@{found.k} of the active",
                    _share(found.active_recall, found.pairs, "pairs"),
                ),
                ("tags' thresholds", found.calibrated_on),
            ],
        )
        for refusal in found.refusals:
            say(f"against it: {refusal}")
        if not found.refusals:
            say(f"It is fit. Next: dam space promote {found.space}")
    return Exit.SOME_FAILED if found.refusals else Exit.OK


def _share(value: float | None, count: int, of: str) -> str:
    return "none to ask" if value is None else f"{value:.3f} ({count} {of})"


def lines_of(path: Path | None) -> list[str]:
    """The lines of a file of queries, none without one; raises ConfigurationError."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The queries {path} cannot be read: {error}.") from error
    return [_at_home(line, path.parent) for line in lines] or [""]


def _at_home(line: str, folder: Path) -> str:
    """A line whose picture is named from beside the file, with its whole path."""
    query, tab, media = line.partition("\t")
    picture = folder / query.strip()
    is_file = bool(query.strip()) and len(query) < 1000 and picture.is_file()
    return f"{picture.resolve()}{tab}{media}" if is_file else line


def check_not_active(record: "SpaceRecord") -> None:
    """Raise ConfigurationError for the active space."""
    if record.status == "active":
        raise ConfigurationError(f"{record.name} is the active space; compare it with another one.")


def unfinished(tools: "Toolbox") -> list[str]:
    """A warning where a decision was written down and not carried out."""
    from dam_pipeline.spaces.decisions import undone

    names = undone(tools.settings, tools.catalogue)
    told = f"What was decided of {', '.join(names)} was interrupted: `dam doctor --repair`."
    return [told] if names else []
