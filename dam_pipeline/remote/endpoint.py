"""The GraphQL endpoint of a webserver: one request, one answer, faults in words."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import NoReturn
from urllib.parse import urlsplit

from dam_pipeline.errors import ConfigurationError, RemoteError, RemoteUnavailable
from dam_pipeline.records import Json

ANSWER_WITHIN_S = 120.0  # launching a run of 200 files writes thousands of events first
REFUSED = (401, 403)
OUT_OF_ORDER = (502, 503, 504)  # what a proxy says for a server that is down
TOLD_LETTERS = 200
MEND_URL = "Correct DAM_DAGSTER_URL, or start `dam ui` there."


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a redirect is a proxy's login page, and must not get our token."""

    def redirect_request(self, *_arguments: object) -> None:
        """Leave the redirect as the error that it is here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The `data` of an answer, and the server's clock when it gave it (Unix seconds, 0: unknown)."""

    data: Json
    at_s: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webserver's address, as browsers use it, with a prefix if it has one."""

    url: str
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        shown = _shown(self.url.rpartition("@")[2])  # before it a login may stand
        try:
            parts = urlsplit(self.url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"DAM_DAGSTER_URL is {shown}. Give the webserver's address, like http://host:3000."
            )
        if parts.username or parts.password:
            raise ConfigurationError(
                "DAM_DAGSTER_URL holds a login. Leave it out there, and give a bearer token in "
                "DAM_DAGSTER_TOKEN."
            )
        object.__setattr__(self, "url", self.url.rstrip("/").removesuffix("/graphql"))

    def ask(self, query: str, variables: Mapping[str, Json] | None = None) -> Answer:
        """Send one GraphQL document; raises RemoteUnavailable or RemoteError."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = json.dumps({"query": query, "variables": dict(variables or {})}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=ANSWER_WITHIN_S) as answer:
                return Answer(self._data(answer.read()), _clock(answer.headers.get("Date")))
        except urllib.error.HTTPError as error:
            with error:
                self._refuse(error.code, error.read())
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise RemoteUnavailable(
                f"No webserver answers at {self.url} ({reason}). {MEND_URL}"
            ) from error

    def _refuse(self, status: int, body: bytes) -> NoReturn:
        if status in REFUSED:
            have = "does not take DAM_DAGSTER_TOKEN" if self.token else "asks for a login"
            raise RemoteError(
                f"{self.url} {have} (HTTP {status}). Set DAM_DAGSTER_TOKEN to a token that its "
                "proxy takes."
            )
        if status in OUT_OF_ORDER:
            raise RemoteUnavailable(
                f"The webserver behind {self.url} does not answer (HTTP {status}). Start it."
            )
        if 300 <= status < 400:
            raise RemoteError(
                f"{self.url} sends us elsewhere (HTTP {status}), to a login perhaps. Set "
                "DAM_DAGSTER_TOKEN, or DAM_DAGSTER_URL to the address after the redirect."
            )
        self._data(body)
        raise RemoteError(f"{self.url} answered with HTTP {status}. {MEND_URL}")

    def _data(self, body: bytes) -> Json:
        """The answer's `data`; raises RemoteError for errors, and for what is no GraphQL."""
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not ({"data", "errors"} & set(document)):
            raise RemoteError(
                f"{self.url} is no Dagster webserver: it answered {_shown(body)!r}. {MEND_URL}"
            )
        if errors := document.get("errors"):
            words = "; ".join(str(one.get("message", one)) for one in errors)
            raise RemoteError(
                f"{self.url} does not understand what this version of dam asks: {_shown(words)}. "
                "Install the same version on both sides (Dagster 1.13)."
            )
        return document["data"]


def _shown(text: str | bytes) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    words = " ".join(words.split())
    return words if len(words) <= TOLD_LETTERS else words[:TOLD_LETTERS] + " …"


def _clock(date: str | None) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() if date else 0.0
    except ValueError:
        return 0.0
