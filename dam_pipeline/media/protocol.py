"""What parent and decoder child say to each other: one JSON object a line, over pipes.

A request names its `op`; the child answers with any number of `progress` lines and then one `done`
or `failed`. Paths are `os.fsdecode`d text; JSON escapes carry their undecodable bytes.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dam_pipeline.media.plan import LookPlan
from dam_pipeline.records import AudioTrack, Keyframe, Look, MediaKind, Print, Shot

Failure = Literal["unreadable", "unsupported", "away", "disk_full", "memory"]


@dataclass(frozen=True, slots=True)
class LookRequest:
    """Ask for shots and keyframes."""

    path: str
    kind: MediaKind
    out_dir: str
    plan: LookPlan


@dataclass(frozen=True, slots=True)
class PosterRequest:
    """Ask for one small picture."""

    path: str
    kind: MediaKind
    out_file: str
    px: int
    at_s: float
    max_megapixels: float


@dataclass(frozen=True, slots=True)
class AudioRequest:
    """Ask for the sound as samples."""

    path: str
    out_file: str


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    """Ask for a photograph as a JPEG in full size, or in the one given (0: as it is)."""

    path: str
    out_file: str
    width: int
    height: int
    max_megapixels: float


Request = LookRequest | PosterRequest | AudioRequest | PhotoRequest
Result = Look | tuple[int, int] | AudioTrack | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The child is alive and this far (0–1)."""

    share: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The request came to nothing, with words for a person."""

    failure: Failure
    message: str


@dataclass(frozen=True, slots=True)
class Done:
    """The request's result: a Look, a picture's (width, height), an AudioTrack or None."""

    result: Result


Reply = Progress | Failed | Done


def encode(message: Request | Reply) -> bytes:
    """One line for the pipe."""
    document: dict[str, Any] = asdict(message)
    document["op"] = type(message).__name__
    if isinstance(message, Done):
        document["form"] = type(message.result).__name__
    return json.dumps(document).encode("ascii") + b"\n"


def decode_request(line: bytes) -> Request:
    """The request in a line."""
    document = json.loads(line)
    op = document.pop("op")
    if op == AudioRequest.__name__:
        return AudioRequest(**document)
    if op == PhotoRequest.__name__:
        return PhotoRequest(**document)
    document["kind"] = MediaKind(document["kind"])
    if op == PosterRequest.__name__:
        return PosterRequest(**document)
    plan = document.pop("plan")
    if plan["shots"] is not None:
        plan["shots"] = tuple(Shot(**shot) for shot in plan["shots"])
    return LookRequest(plan=LookPlan(**plan), **document)


def decode_reply(line: bytes) -> Reply:
    """The reply in a line."""
    document = json.loads(line)
    op = document.pop("op")
    if op == Progress.__name__:
        return Progress(**document)
    if op == Failed.__name__:
        return Failed(**document)
    result, form = document["result"], document["form"]
    if form == Look.__name__:
        result["shots"] = tuple(Shot(**shot) for shot in result["shots"])
        result["keyframes"] = tuple(Keyframe(**kept) for kept in result["keyframes"])
        result["prints"] = tuple(Print(**made) for made in result["prints"])
        return Done(Look(**result))
    if form == AudioTrack.__name__:
        return Done(AudioTrack(**result))
    return Done(None if result is None else (result[0], result[1]))
