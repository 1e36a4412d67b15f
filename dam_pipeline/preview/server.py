"""The preview server's addresses: which page or picture each gives. Only GET and HEAD, no writes."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dam_pipeline.errors import ConfigurationError, DamError
from dam_pipeline.preview import pages, pictures
from dam_pipeline.preview.library import Library
from dam_pipeline.preview.metrics import CONTENT_TYPE_LATEST, exposition
from dam_pipeline.preview.searching import Finder
from dam_pipeline.records import Media, State
from dam_pipeline.settings import Settings
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stores.derived import DerivedFiles

PER_PAGE = 60
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # A retry may bring another picture under the same address.
    "Cache-Control": "no-cache",
}


def create_app(settings: Settings, host: str = "127.0.0.1") -> Starlette:
    """The application for a home; it opens the library when it starts and closes it at the end."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with ExitStack() as resources:
            tools = resources.enter_context(Toolbox.open(settings))
            app.state.settings = settings
            app.state.library = Library(tools)
            app.state.finder = Finder(tools)
            app.state.derived = tools.derived
            yield

    return Starlette(
        routes=[
            Route("/", _grid),
            Route("/search", _search),
            Route("/media/{key}", _media),
            Route("/poster/{key}.jpg", _poster),
            Route("/keyframe/{key}/{number:int}.jpg", _keyframe),
            Route("/face/{key}/{number:int}.jpg", _face),
            Route("/healthz", _health),
            Route("/metrics", _metrics),
            Mount("/static", StaticFiles(packages=[("dam_pipeline.preview", "static")])),
        ],
        middleware=[
            Middleware(_SafeHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=_allowed_hosts(settings, host)),
        ],
        exception_handlers={DamError: _trouble, HTTPException: _refusal},
        lifespan=lifespan,
    )


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until a signal to stop comes."""
    config = uvicorn.Config(
        create_app(settings, host), host=host, port=port, log_level="warning", lifespan="on"
    )
    uvicorn.Server(config).run()


class _SafeHeaders:
    """Adds the headers that keep a page from loading or running anything from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, with_headers)


def _allowed_hosts(settings: Settings, host: str) -> list[str]:
    """Names by which a browser may ask; on loopback only those, so that no web page can rebind."""
    if host not in LOOPBACK:
        return ["*"]
    named = urlsplit(settings.preview_address).hostname
    return [*LOOPBACK, *([named] if named else [])]


def _grid(request: Request) -> Response:
    state = request.query_params.get("state", "")
    page = _page_number(request)
    if state and state not in list(State):
        raise HTTPException(404, f"There is no state {state}.")
    cards, total = request.app.state.library.cards(state, page, PER_PAGE)
    return HTMLResponse(pages.grid(cards, state, page, PER_PAGE, total))


def _search(request: Request) -> Response:
    text = request.query_params.get("q", "").strip()
    if not text:
        return HTMLResponse(pages.search("", [], []))
    found = request.app.state.finder.search(text)
    media = [hit.media for hit in found.hits]
    cards = dict(zip(media, request.app.state.library.cards_of(media), strict=True))
    return HTMLResponse(
        pages.search(text, [(h, cards[h.media]) for h in found.hits], found.warnings)
    )


def _media(request: Request) -> Response:
    dossier = request.app.state.library.dossier(_known(request))
    related = request.app.state.finder.related(dossier.card.media)
    return HTMLResponse(pages.media(dossier, related, _dagster_address(request)))


def _poster(request: Request) -> Response:
    media = _known(request)
    path: Path = request.app.state.derived.path(media.media_id, "poster.jpg")
    if path.is_file():
        return FileResponse(path, media_type="image/jpeg")
    card = request.app.state.library.cards_of([media])[0]
    troubles = card.troubles
    lines = troubles or [f"{media.kind.value} · no poster yet"]
    drawn = pictures.placeholder(media.first_name, lines, is_trouble=bool(troubles))
    return Response(drawn, media_type="image/jpeg")


def _keyframe(request: Request) -> Response:
    return FileResponse(_keyframe_path(request, request.path_params["number"]))


def _face(request: Request) -> Response:
    faces = request.app.state.library.faces(_known(request))
    number = request.path_params["number"]
    if number >= len(faces):
        raise HTTPException(404, f"This file has {len(faces)} faces.")
    row = faces[number]
    path = _keyframe_path(request, row["keyframe"])
    return Response(pictures.face(path, tuple(row["box"])), media_type="image/jpeg")


def _health(_request: Request) -> Response:
    return JSONResponse({"ok": True})


def _metrics(request: Request) -> Response:
    """For Prometheus."""
    found = request.app.state.library.metrics()
    return Response(exposition(found), media_type=CONTENT_TYPE_LATEST)


def _dagster_address(request: Request) -> str:
    """The Dagster UI: where the settings say, else on the host by which this server was reached."""
    settings: Settings = request.app.state.settings
    if settings.ui_url:
        return settings.ui_address
    host = request.url.hostname or LOOPBACK[0]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{settings.port}"


def _known(request: Request) -> Media:
    key = request.path_params["key"]
    media: Media | None = request.app.state.library.media(key)
    if media is None:
        raise HTTPException(404, f"No file is known as {key}.")
    return media


def _keyframe_path(request: Request, number: int) -> Path:
    """The picture of a keyframe, which never lies outside the media's own folder."""
    media = _known(request)
    rows = request.app.state.library.keyframes(media)
    if number >= len(rows):
        raise HTTPException(404, f"This file has {len(rows)} keyframes.")
    derived: DerivedFiles = request.app.state.derived
    folder = derived.folder(media.media_id).resolve()
    path = derived.path(media.media_id, rows[number]["path"]).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        raise HTTPException(404, "This keyframe is gone. `dam doctor` tells more.")
    return path


def _page_number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 8 else 1


def _trouble(_request: Request, error: Exception) -> Response:
    status = 400 if isinstance(error, ConfigurationError) else 503
    return HTMLResponse(pages.message("This cannot be shown", str(error)), status_code=status)


def _refusal(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    return HTMLResponse(pages.message("Not here", detail), status_code=status)
