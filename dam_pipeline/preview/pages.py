"""The pages as HTML, made from templates that escape whatever they are given."""

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, pass_environment

from dam_pipeline.preview import wording
from dam_pipeline.preview.library import Card, Dossier
from dam_pipeline.preview.searching import Found, Relation
from dam_pipeline.records import State

STATES_SHOWN = (State.DONE, State.FAILED, State.BLOCKED, State.RUNNING, State.STALE, State.NEVER)


def grid(cards: Sequence[Card], state: str, page: int, per_page: int, total: int) -> str:
    """The library's front page: cards of one page, filtered by state or not."""
    pages = max(1, -(-total // per_page))
    return _page(
        "library.html", cards=cards, state=state, page=page, pages=pages, total=total, query=""
    )


def search(text: str, hits: Sequence[tuple[Found, Card]], warnings: Sequence[str]) -> str:
    """What a search has found."""
    return _page("search.html", query=text, hits=hits, warnings=warnings)


def media(dossier: Dossier, related: Sequence[Relation], dagster: str) -> str:
    """All that is known of one file; `dagster` is the address of the UI, for links."""
    card = dossier.card
    return _page(
        "media.html",
        dossier=dossier,
        card=card,
        media=card.media,
        probe=card.probe,
        tables=dossier.tables,
        related=related,
        dagster=dagster,
        query="",
    )


def message(title: str, text: str) -> str:
    """A page that only says something, such as what went wrong and what to do."""
    return _page("message.html", title=title, text=text, query="")


def _page(name: str, **values: Any) -> str:
    return _TEMPLATES.get_template(name).render(states=STATES_SHOWN, **values)


@pass_environment
def _span(environment: Environment, one: object, side: str = "") -> str:
    """The stretch of a row or record as `m:ss–m:ss`; nothing for a photograph."""
    start_s: Any = environment.getitem(one, f"{side}start_s")
    end_s: Any = environment.getitem(one, f"{side}end_s")
    return f"{wording.clock(start_s)}–{wording.clock(end_s)}" if end_s > start_s else ""


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dam_pipeline.preview"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=wording.shown,
    )
    environment.filters |= {
        "clock": wording.clock,
        "span": _span,
        "size": wording.size,
        "place": wording.place,
    }
    return environment


_TEMPLATES = _environment()
