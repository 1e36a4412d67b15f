"""How the demo shows what the commands answered: tables and times. It asks and decides nothing."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dam_pipeline.errors import SourceError
from dam_pipeline.identity import uri_to_path
from dam_pipeline.records import Json
from dam_pipeline.samples.contents import Shown

OUT = Console(highlight=False)
ROWS = 30
"""Most files in the status table, so that it stays on one screen."""

_MARKS = {
    "done": "[green]●[/]",
    "empty": "[dim]○[/]",
    "failed": "[red]✗[/]",
    "blocked": "[yellow]![/]",
    "stale": "[yellow]~[/]",
    "never": "[dim]·[/]",
    "running": "[cyan]…[/]",
    "removed": "[dim]-[/]",
}
_HEADINGS = {
    "checksum": "sha",
    "probe": "pro",
    "poster": "pos",
    "shots": "sho",
    "keyframes": "key",
    "fingerprints": "fin",
    "clip_embeddings": "cli",
    "tags": "tag",
    "face_embeddings": "fac",
    "transcript": "wor",
    "sentence_embeddings": "mea",
    "scenes": "sce",
    "search_index": "ind",
}
"""Stage names short enough for all of them to stand side by side in 80 columns."""


def heading(text: str) -> None:
    """Begin a part of the demo."""
    OUT.print(f"\n[bold]{text}[/]")


def note(text: str) -> None:
    """A sentence in between; no markup."""
    OUT.print(text, style="dim", markup=False)


def command_line(words: Sequence[str]) -> None:
    """The command that the next lines answer, as a person would type it."""
    shown = " ".join(f'"{word}"' if " " in word else word for word in words)
    OUT.print(f"[cyan]$ dam[/] {shown}", soft_wrap=True)


def name_of(uri: str, folder: Path) -> str:
    """A file as the reader knows it: its path below the folder, else whole."""
    try:
        path = uri_to_path(uri)
    except SourceError:
        return uri
    folder = folder.absolute()
    below = path.relative_to(folder) if path.is_relative_to(folder) else path
    return str(below).encode(errors="backslashreplace").decode()


def span_of(item: Json) -> str:
    """The times of a hit or an edge, nothing for a photograph (0.0 to 0.0)."""
    return span(item["start_s"], item["end_s"]) if item["end_s"] else ""


def span(start_s: float, end_s: float) -> str:
    """A span as minutes and seconds."""
    return f"{_clock(start_s)}–{_clock(end_s)}"


def show_status(media: Sequence[Json], folder: Path) -> None:
    """One line a file, one mark a stage, and what the marks mean."""
    stages = list(media[0]["stages"]) if media else []
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    grid.add_column("file", overflow="ellipsis")
    for stage in stages:
        name = _HEADINGS.get(stage, stage)
        grid.add_column(name, justify="center", no_wrap=True, min_width=len(name))
    for one in media[:ROWS]:
        marks = [_MARKS.get(one["stages"][stage]["state"], "?") for stage in stages]
        grid.add_row(_escaped(name_of(uri_of(one), folder)), *marks)
    OUT.print(grid)
    if len(media) > ROWS:
        note(f"and {len(media) - ROWS} more: dam status")
    used = {value["state"] for one in media for value in one["stages"].values()}
    OUT.print("  ".join(f"{mark} {state}" for state, mark in _MARKS.items() if state in used))


def show_hits(hits: Sequence[Json], folder: Path) -> None:
    """The hits of a search with their times, and the words where words were found."""
    if not hits:
        note("nothing")
        return
    grid = _plain_table("right", "left", "left", "left")
    for hit in hits:
        words = next((one["text"].strip() for one in hit["evidence"] if one.get("text")), "")
        name = _escaped(name_of(hit["uri"], folder))
        grid.add_row(f"{hit['score']:.2f}", name, span_of(hit), _escaped(words))
    OUT.print(grid)


def show_relations(edges: Iterable[Json], folder: Path) -> None:
    """Edges with both stretches."""
    grid = _plain_table("left", "right", "left", "left", "left")
    for edge in edges:
        other = edge["other"]
        name = _escaped(name_of(other["uri"] or other["media_id"], folder))
        grid.add_row(edge["kind"], f"{edge['weight']:.2f}", span_of(edge), name, span_of(other))
    if grid.row_count:
        OUT.print(grid)
    else:
        note("nothing")


def show_truth(places: Iterable[tuple[str, Shown]]) -> None:
    """Where something was drawn, to hold the hits against."""
    told = (
        f"{name} {span(shown.start_s, shown.end_s)}" if shown.end_s else name
        for name, shown in places
    )
    note("drawn in: " + ", ".join(told))


def uri_of(media: Json) -> str:
    """Where a media is, or its key when it was seen nowhere."""
    places = media["locations"]
    return str(places[0]["uri"]) if places else str(media["partition_key"])


def _plain_table(*justified: str) -> Table:
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for justify in justified:
        grid.add_column(justify=justify)  # type: ignore[arg-type]
    return grid


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
