"""The connection to a Weaviate server: opened with patience, and its errors in the words of this house."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

import httpx
import weaviate
from weaviate.auth import Auth
from weaviate.config import AdditionalConfig, GrpcConfig
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateBaseError

from dam_pipeline.errors import ConfigurationError, StoreUnavailable
from dam_pipeline.settings import Settings

START_WAIT_S = 10.0  # a server on an idle machine is ready after some 7 s
LOOK_AGAIN_S = 0.25
ANSWER_WITHIN_S = 5.0
OLDEST_SERVER = (1, 33)  # the first that can delete all but some objects (ContainsNone)
# Reads wait 30 s and writes 90 s for a server that went away, which is looked for every second;
# else calls fail at once, the client repeats them for a minute, and misses its coming back.
PATIENCE = {
    "grpc.service_config": '{"methodConfig": [{"name": [{}], "waitForReady": true}]}',
    "grpc.max_reconnect_backoff_ms": 1000,
}
VENDOR_ERRORS = (WeaviateBaseError, httpx.HTTPError, OSError)
REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def connect(settings: Settings, wait_s: float = START_WAIT_S) -> weaviate.WeaviateClient:
    """A client of the settings' server, which may be starting for another `wait_s` seconds.

    Raises StoreUnavailable when it does not answer by then, refuses the key or is too old.
    """
    address = _address(settings)
    with reported(settings):
        _await_server(settings, address, time.monotonic() + wait_s)
        client = _client(settings, address)
        client.connect()
    return client


@contextmanager
def reported(settings: Settings) -> Iterator[None]:
    """Raise what Weaviate's client raises as StoreUnavailable, with what to do."""
    try:
        yield
    except VENDOR_ERRORS as error:
        raise StoreUnavailable(
            f"Weaviate at {settings.weaviate_url} (gRPC port {settings.weaviate_grpc_port}) "
            f"{_what_is_wrong(error)}; the work then goes on."
        ) from error


def _address(settings: Settings) -> SplitResult:
    address = urlsplit(settings.weaviate_url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ConfigurationError(
            f"DAM_WEAVIATE_URL is {settings.weaviate_url!r}, which is no address of a server. Write "
            "it like http://127.0.0.1:8080."
        )
    return address


def _await_server(settings: Settings, address: SplitResult, until: float) -> None:
    """Return when the server is ready; raises what stood in the way when it is too late for that."""
    while True:
        try:
            return _look(settings, address)
        except VENDOR_ERRORS as error:
            if _refusal(error) or time.monotonic() > until:
                raise
            time.sleep(LOOK_AGAIN_S)


def _look(settings: Settings, address: SplitResult) -> None:
    """Raise what the vendor would unless the server is ready and both its ports answer.

    The client notices a dead gRPC port only with its first query, after half a minute of trying.
    """
    key = settings.weaviate_api_key
    with httpx.Client(
        base_url=f"{address.scheme}://{address.netloc}/v1",
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=ANSWER_WITHIN_S,
        trust_env=False,
    ) as http:
        meta = http.get("/meta").raise_for_status()
        _check_version(meta, settings)
        http.get("/.well-known/ready").raise_for_status()
    grpc = (address.hostname, settings.weaviate_grpc_port)
    socket.create_connection(grpc, timeout=ANSWER_WITHIN_S).close()


def _check_version(meta: httpx.Response, settings: Settings) -> None:
    found = re.match(r'.*"version":\s*"((\d+)\.(\d+)[^"]*)"', meta.text, re.DOTALL)
    version, *numbers = found.groups() if found else ("unknown", "0", "0")
    if tuple(map(int, numbers)) < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise StoreUnavailable(
            f"Weaviate at {settings.weaviate_url} is of version {version}, but {oldest} or newer is "
            "needed. Upgrade the server, or choose another store with DAM_VECTOR_STORE."
        )


def _client(settings: Settings, address: SplitResult) -> weaviate.WeaviateClient:
    is_secure = address.scheme == "https"
    parameters = weaviate.connect.ConnectionParams.from_params(
        http_host=address.hostname,
        http_port=address.port or (443 if is_secure else 80),
        http_secure=is_secure,
        grpc_host=address.hostname,
        grpc_port=settings.weaviate_grpc_port,
        grpc_secure=is_secure,
    )
    key = settings.weaviate_api_key
    patience = GrpcConfig(channel_options=list(PATIENCE.items()))
    # The client's own checks would ask the Internet for its newest version.
    return weaviate.WeaviateClient(
        parameters,
        auth_client_secret=Auth.api_key(key) if key else None,
        additional_config=AdditionalConfig(grpc_config=patience),
        skip_init_checks=True,
    )


def _what_is_wrong(error: Exception) -> str:
    refusal = _refusal(error)
    if refusal == HTTPStatus.UNAUTHORIZED:
        return "refuses the API key. Set DAM_WEAVIATE_API_KEY to one that it knows"
    if refusal == HTTPStatus.FORBIDDEN:
        return "does not allow this to the API key. Set DAM_WEAVIATE_API_KEY to one that may write"
    words = str(getattr(error, "message", "") or error).strip()
    inner = re.search(r'details = "([^"\n]+)', words)  # of gRPC, below a line that says nothing
    said = inner[1] if inner else (words.splitlines() or [type(error).__name__])[0]
    return f"cannot be used: {said[:300].rstrip('.')}. Start it, or mend DAM_WEAVIATE_URL and DAM_WEAVIATE_GRPC_PORT"


def _refusal(error: Exception) -> int | None:
    """The HTTP status with which a server that is well refused the key."""
    if isinstance(error, httpx.HTTPStatusError):
        status: int = error.response.status_code
    elif isinstance(error, UnexpectedStatusCodeError):
        status = error.status_code
    else:
        return None
    return status if status in REFUSALS else None
