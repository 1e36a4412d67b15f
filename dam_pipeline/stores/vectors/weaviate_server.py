"""The connection to a Weaviate server: opened with patience, and its errors in the words of this house."""

import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from threading import RLock
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx
import weaviate
from weaviate.auth import Auth
from weaviate.config import AdditionalConfig, GrpcConfig, Timeout
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateBaseError

from dam_pipeline.errors import ConfigurationError, StoreUnavailable
from dam_pipeline.settings import Settings

START_WAIT_S = 10.0  # a server on an idle machine is ready after some 7 s
LOOK_AGAIN_S = 0.25
ANSWER_WITHIN_S = 5.0
LOOK_AGAIN_AFTER_S = 1.0  # of a server that was down; until then calls fail at once
OLDEST_SERVER, TOO_NEW_SERVER = (1, 33), (2, 0)  # tried with 1.35.2
# Calls wait for a server that went away, which is looked for every second; else they fail at once,
# the client repeats them for a minute, and misses its coming back.
PATIENCE = {
    "grpc.service_config": '{"methodConfig": [{"name": [{}], "waitForReady": true}]}',
    "grpc.max_reconnect_backoff_ms": 1000,
}
READ_PATIENCE, WRITE_PATIENCE = 3, 9  # times the wait for a start
VENDOR_ERRORS = (WeaviateBaseError, httpx.HTTPError, OSError)
NEVER = -1  # tries after the first, as the client counts them
FORBIDDEN = "insufficient permissions"  # in what the server says of single rows, and by gRPC
UNTENANTED = "status code: 422, with response body: None"  # all it says when asked for a tenant
NOT_ALLOWED = "does not allow this to the API key. Set DAM_WEAVIATE_API_KEY to one that may write"
REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class Server:
    """One server, connected to at first use; the client is shared by all calls of this process.

    The first use waits for a server that is starting. After an error each use first looks whether
    the server is there, without waiting, so that a run which finds it down goes on at once.
    """

    def __init__(self, settings: Settings, wait_s: float = START_WAIT_S) -> None:
        self.url = settings.weaviate_url
        self._settings = settings
        self._address = _address(settings)
        self._wait_s = wait_s
        self._client: weaviate.WeaviateClient | None = None
        self._failure: StoreUnavailable | None = None
        self._gone_at = float("-inf")
        self._lock = RLock()

    @contextmanager
    def client(self) -> Iterator[weaviate.WeaviateClient]:
        """The client; raises what goes wrong with it as StoreUnavailable, with what to do."""
        try:
            with self._lock:
                yielded = self._ready_client()
            yield yielded
        except VENDOR_ERRORS as error:
            self._failure = StoreUnavailable(
                f"Weaviate at {self._settings.weaviate_url} (gRPC port "
                f"{self._settings.weaviate_grpc_port}) {_what_is_wrong(error)}; the work then goes on."
            )
            raise self._failure from error

    def close(self) -> None:
        """End the connection; a later use makes another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _ready_client(self) -> weaviate.WeaviateClient:
        self._look_after_failure()
        if self._client is None:
            _await_server(self._settings, self._address, time.monotonic() + self._wait_s)
            client = _client(self._settings, self._address, self._wait_s)
            client.connect()
            _send_writes_once(client)
            self._client = client
        return self._client

    def _look_after_failure(self) -> None:
        if self._failure is None:
            return
        if time.monotonic() < self._gone_at + LOOK_AGAIN_AFTER_S:
            raise self._failure.with_traceback(None)
        try:
            _look(self._settings, self._address)
        except VENDOR_ERRORS:
            self._gone_at = time.monotonic()
            raise
        self._failure = None


def _send_writes_once(client: weaviate.WeaviateClient) -> None:
    """Take away the client's own second tries of a write, for which it has no setting.

    They send the same ids again. What a killed server had stored of them is then left out of its
    vector index for ever, although the write is acknowledged; our own repetition has new ids.
    """
    connection: Any = client._connection
    send = connection.grpc_batch_objects

    def send_once(request: Any, timeout: float, max_retries: float) -> Any:
        return send(request, timeout, min(max_retries, NEVER))

    connection.grpc_batch_objects = send_once


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
        verify=ssl.create_default_context() if _has_own_certificates() else True,
    ) as http:
        meta = http.get("/meta").raise_for_status()
        _check_version(meta, settings)
        http.get("/.well-known/ready").raise_for_status()
    grpc = (address.hostname, settings.weaviate_grpc_port)
    socket.create_connection(grpc, timeout=ANSWER_WITHIN_S).close()


def _check_version(meta: httpx.Response, settings: Settings) -> None:
    found = re.match(r'.*"version":\s*"((\d+)\.(\d+)[^"]*)"', meta.text, re.DOTALL)
    version, *numbers = found.groups() if found else ("unknown", "0", "0")
    if not OLDEST_SERVER <= tuple(map(int, numbers)) < TOO_NEW_SERVER:
        oldest, too_new = (".".join(map(str, one)) for one in (OLDEST_SERVER, TOO_NEW_SERVER))
        raise StoreUnavailable(
            f"Weaviate at {settings.weaviate_url} is of version {version}, but one from {oldest} on "
            f"and below {too_new} is needed. Change the server, or choose another store with "
            "DAM_VECTOR_STORE."
        )


def _client(settings: Settings, address: SplitResult, wait_s: float) -> weaviate.WeaviateClient:
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
    grpc = GrpcConfig(channel_options=list(PATIENCE.items()), credentials=_grpc_trust(is_secure))
    timeout = Timeout(init=wait_s, query=READ_PATIENCE * wait_s, insert=WRITE_PATIENCE * wait_s)
    # The client's own checks would ask the Internet for its newest version.
    return weaviate.WeaviateClient(
        parameters,
        auth_client_secret=Auth.api_key(key) if key else None,
        additional_config=AdditionalConfig(
            grpc_config=grpc, timeout=timeout, trust_env=_has_own_certificates()
        ),
        skip_init_checks=True,
    )


def _has_own_certificates() -> bool:
    """Whether this system names the certificates to trust, as OpenSSL's programs take them."""
    return bool(os.environ.get("SSL_CERT_FILE"))


def _grpc_trust(is_secure: bool) -> Any:
    """Credentials that trust the named certificates, which gRPC would not look at; else its own."""
    if not is_secure or not _has_own_certificates():
        return None
    import grpc  # type: ignore[import-untyped]

    return grpc.ssl_channel_credentials(Path(os.environ["SSL_CERT_FILE"]).read_bytes())


def _what_is_wrong(error: Exception) -> str:
    refusal = _refusal(error)
    if refusal == HTTPStatus.UNAUTHORIZED:
        return "refuses the API key. Set DAM_WEAVIATE_API_KEY to one that it knows"
    words = str(getattr(error, "message", "") or error).strip()
    if refusal == HTTPStatus.FORBIDDEN or FORBIDDEN in words:
        return NOT_ALLOWED
    if "multi-tenancy" in words.lower() or UNTENANTED in words:
        return (
            f"has collections of this library {_tenancy(words)}. Set DAM_WEAVIATE_TENANT as it was "
            "when they were made, or choose another DAM_WEAVIATE_PREFIX and run `dam rebuild`"
        )
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return (
            "shows a certificate that is not trusted here. Name the file (PEM) of the one that signed "
            "it in SSL_CERT_FILE"
        )
    if "no such prop with name" in words:
        return "was filled by an older dam_pipeline. Run `dam rebuild`"
    inner = re.search(r'details = "([^"\n]+)', words)  # of gRPC, below a line that says nothing
    said = inner[1] if inner else (words.splitlines() or [type(error).__name__])[0]
    return f"cannot be used: {said[:300].rstrip('.')}. Start it, or mend DAM_WEAVIATE_URL and DAM_WEAVIATE_GRPC_PORT"


def _tenancy(words: str) -> str:
    is_with = "without tenant" in words or "multi-tenancy enabled" in words
    return "that were made with tenants" if is_with else "that were made without tenants"


def _refusal(error: Exception) -> int | None:
    """The HTTP status with which a server that is well refused the key."""
    if isinstance(error, httpx.HTTPStatusError):
        status: int = error.response.status_code
    elif isinstance(error, UnexpectedStatusCodeError):
        status = error.status_code
    else:
        return None
    return status if status in REFUSALS else None
