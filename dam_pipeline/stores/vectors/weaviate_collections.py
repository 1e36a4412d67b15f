"""Weaviate's collections: one an embedding space and one of spoken words; names, properties, indexes.

A collection's description says in JSON which space it holds, as its name may hold few characters.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import weaviate
from weaviate.classes.config import (
    Configure,
    DataType,
    Property,
    StopwordsPreset,
    Tokenization,
    VectorDistances,
)
from weaviate.exceptions import UnexpectedStatusCodeError

from dam_pipeline.records import Space

VECTOR = "vector"  # name of the vector of a row, beside which other models' may come to stand
STEMS = "stems"
GENERATION = "generation"  # number of the put that wrote a row, counted for its media
SLUG_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection is called and which space it holds; none for words."""

    name: str
    space: Space | None


def collection_of(prefix: str, space: Space) -> Collection:
    """The collection of a space: its kind and name as far as letters go, and a hash of the whole."""
    slug = re.sub(r"[^a-z0-9]+", "_", f"{space.kind}_{space.name}".lower()).strip("_")
    digest = hashlib.sha256(f"{space.kind}\n{space.name}".encode()).hexdigest()[:12]
    return Collection(f"{prefix}_{slug[:SLUG_LENGTH]}_{digest}", space)


def words_collection(prefix: str) -> Collection:
    """The collection of spoken words."""
    return Collection(f"{prefix}_words", None)


def collections_of(client: weaviate.WeaviateClient, prefix: str) -> Iterator[Collection]:
    """All collections of this library that the server holds, by name."""
    for name, config in sorted(client.collections.list_all().items()):
        if name == words_collection(prefix).name:
            yield Collection(name, None)
        elif name.startswith(f"{prefix}_"):
            yield Collection(name, Space(**json.loads(config.description or "{}")))


def make(client: weaviate.WeaviateClient, collection: Collection) -> None:
    """Make a collection, unless another process is quicker."""
    space = collection.space
    try:
        client.collections.create(
            collection.name,
            description=None if space is None else _described(space),
            properties=_properties(is_words=space is None),
            vector_config=None if space is None else _vector_config(),
            # Every word counts: "the" is asked for too.
            inverted_index_config=Configure.inverted_index(stopwords_preset=StopwordsPreset.NONE),
        )
    except UnexpectedStatusCodeError:
        if not client.collections.exists(collection.name):
            raise


def _described(space: Space) -> str:
    known = ("name", "kind", "dimension")
    return json.dumps({name: value for name, value in asdict(space).items() if name in known})


def _vector_config() -> Any:
    index = Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
    return Configure.Vectors.self_provided(name=VECTOR, vector_index_config=index)


def _properties(is_words: bool) -> list[Property]:
    """The columns of a table as properties; only those are indexed that are asked for."""
    plain: dict[str, Any] = {"index_filterable": False, "index_searchable": False}
    owner = Property(
        name="media_id",
        data_type=DataType.TEXT,
        tokenization=Tokenization.FIELD,
        index_filterable=True,
        index_searchable=False,
    )
    generation = Property(
        name=GENERATION,
        data_type=DataType.INT,
        index_filterable=False,
        index_range_filters=True,
    )
    unasked = {"item": DataType.INT, "start_s": DataType.NUMBER, "end_s": DataType.NUMBER}
    unasked |= (
        {"text": DataType.TEXT, "language": DataType.TEXT}
        if is_words
        else {"time_s": DataType.NUMBER}
    )
    properties = [
        owner,
        generation,
        *(Property(name=n, data_type=t, **plain) for n, t in unasked.items()),
    ]
    if is_words:
        stems = Property(
            name=STEMS,
            data_type=DataType.TEXT,
            tokenization=Tokenization.WHITESPACE,
            index_filterable=False,
            index_searchable=True,
        )
        properties.append(stems)
    return properties
