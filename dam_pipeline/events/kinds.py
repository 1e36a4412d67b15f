"""What is told to other programs: one record a type of event, and the envelope that carries it.

The envelope is CloudEvents 1.0 in its JSON form (https://cloudevents.io). The same record gives the
JSON schema that `dam events schema` prints, so code and documentation cannot part.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import Field, TypeAdapter

from dam_pipeline.records import Json

SOURCE = "/dam_pipeline"
CONTENT_TYPE = "application/cloudevents+json"

MediaId = Annotated[str, Field(description="Identity of the content, 32 hex digits.")]
PartitionKey = Annotated[str, Field(description="The same for people and Dagster.")]
RunId = Annotated[str, Field(description="Dagster's id of the run that did it; empty: none did.")]
Uri = Annotated[str, Field(description="Where the original is, or was last.")]
Kind = Annotated[str, Field(description="video, image or audio.")]


class Told(Protocol):
    """What an event tells: its type, what it is about, and the fields of `data`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    TYPE: ClassVar[str]

    @property
    def about(self) -> str:
        """A partition key, or a run's id."""


@dataclass(frozen=True, slots=True)
class AboutMedia:
    """A file of the library."""

    media_id: MediaId
    partition_key: PartitionKey
    kind: Kind
    uri: Uri

    @property
    def about(self) -> str:
        """The partition key."""
        return self.partition_key


@dataclass(frozen=True, slots=True)
class MediaDiscovered(AboutMedia):
    """Content that the library did not know was registered; nothing has run on it yet."""

    TYPE: ClassVar[str] = "media.discovered"
    size_bytes: Annotated[int, Field(description="Size of the original.")]


@dataclass(frozen=True, slots=True)
class MediaIndexed(AboutMedia):
    """Search finds the file by all that is known of it now; told again when more is known."""

    TYPE: ClassVar[str] = "media.indexed"
    run_id: RunId


@dataclass(frozen=True, slots=True)
class MediaFailed(AboutMedia):
    """A stage failed on the file; what does not depend on it goes on."""

    TYPE: ClassVar[str] = "media.failed"
    run_id: RunId
    stage: Annotated[str, Field(description="The stage that failed.")]
    reason: Annotated[str, Field(description="What happened and what to do.")]
    retryable: Annotated[bool, Field(description="Whether it is tried again by itself.")]
    attempts: Annotated[int, Field(description="Tries so far.")]


@dataclass(frozen=True, slots=True)
class MediaMissing(AboutMedia):
    """A place of the file does not hold it any more; `present` tells of other places."""

    TYPE: ClassVar[str] = "media.missing"
    present: Annotated[bool, Field(description="Whether it still is somewhere else.")]


@dataclass(frozen=True, slots=True)
class MediaReturned(AboutMedia):
    """A place that was missing holds the file again."""

    TYPE: ClassVar[str] = "media.returned"


@dataclass(frozen=True, slots=True)
class MediaSuperseded(AboutMedia):
    """The content at the file's place was replaced by other content."""

    TYPE: ClassVar[str] = "media.superseded"
    superseded_by: Annotated[str, Field(description="Media id of the successor.")]


@dataclass(frozen=True, slots=True)
class MediaDelivered(AboutMedia):
    """A file made from it lies at an agency, all its bytes sent; whether it is accepted is not told."""

    TYPE: ClassVar[str] = "media.delivered"
    agency: Annotated[str, Field(description="Id of the agency.")]
    state: Annotated[str, Field(description="verified: compared over there, or delivered.")]
    remote: Annotated[str, Field(description="Address of the file over there, without a login.")]
    sha256: Annotated[str, Field(description="Of the delivered file, 64 hex digits.")]


@dataclass(frozen=True, slots=True)
class RunFailed:
    """A run failed: of some files, or altogether."""

    TYPE: ClassVar[str] = "run.failed"
    run_id: RunId
    job: Annotated[str, Field(description="Name of the job.")]
    text: Annotated[str, Field(description="One line a failed file: KEY at STAGE: reason.")]
    url: Annotated[str, Field(description="The run in Dagster's UI.")]

    @property
    def about(self) -> str:
        """The run's id."""
        return self.run_id


KINDS: dict[str, type[Told]] = {
    one.TYPE: one
    for one in (
        *(MediaDiscovered, MediaIndexed, MediaFailed, MediaMissing, MediaReturned),
        *(MediaSuperseded, MediaDelivered, RunFailed),
    )
}
"""The record of each type of event."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it waits and is sent; `body` is the whole envelope as JSON text."""

    event_id: str
    type: str
    time: str
    body: str


def event_of(told: Told) -> Event:
    """The envelope of something that has just happened, with an id of its own."""
    event_id = str(uuid.uuid4())
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document: dict[str, Json] = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": told.TYPE,
        "subject": told.about,
        "time": now,
        "datacontenttype": "application/json",
        "data": asdict(told),
    }
    return Event(event_id, told.TYPE, now, json.dumps(document))


def schema_of(type_: str) -> Mapping[str, Json]:
    """The JSON schema (2020-12) of a whole event of one of `KINDS`."""
    text = {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": type_,
        "description": KINDS[type_].__doc__,
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text | {"description": "The same at every delivery of the event."},
            "source": {"const": SOURCE},
            "type": {"const": type_},
            "subject": text | {"description": "Partition key of the file, or id of the run."},
            "time": text | {"format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            "data": TypeAdapter(KINDS[type_]).json_schema(),
        },
    }
