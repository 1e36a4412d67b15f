"""Weaviate's collections: one an embedding space and one of spoken words; names, properties, indexes.

A collection's description says in JSON which space it holds, as its name may hold few characters.
Where a library is one tenant of several, its collections are shared with the other tenants.
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
from weaviate.classes.tenants import Tenant
from weaviate.exceptions import UnexpectedStatusCodeError

from dam_pipeline.records import Space

VECTOR = "vector"  # name of the vector of a row, beside which other models' may come to stand
STEMS = "stems"
GENERATION = (
    "generation"  # number of the put that wrote a row; a later one of its media has a higher one
)
SIZE = "size"  # rows of its media that this put wrote
SLUG_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection is called and which space it holds; none for words."""

    name: str
    space: Space | None


@dataclass(frozen=True, slots=True)
class Section:
    """The part of a server that is one library's: a prefix of collections' names, and a tenant."""

    prefix: str
    tenant: str = ""

    def words(self) -> Collection:
        """The collection of spoken words."""
        return Collection(f"{self.prefix}_words", None)

    def of(self, space: Space) -> Collection:
        """A space's collection: its kind and name as far as letters go, and a hash of the whole."""
        slug = re.sub(r"[^a-z0-9]+", "_", f"{space.kind}_{space.name}".lower()).strip("_")
        digest = hashlib.sha256(f"{space.kind}\n{space.name}".encode()).hexdigest()[:12]
        return Collection(f"{self.prefix}_{slug[:SLUG_LENGTH]}_{digest}", space)

    def held(self, client: weaviate.WeaviateClient) -> Iterator[Collection]:
        """All collections of this library that the server holds, by name."""
        for name, config in sorted(client.collections.list_all().items()):
            if not name.startswith(f"{self.prefix}_") or not self._is_in(client, name):
                continue
            if name == self.words().name:
                yield Collection(name, None)
            else:
                yield Collection(name, Space(**json.loads(config.description or "{}")))

    def opened(self, client: weaviate.WeaviateClient, collection: Collection) -> Any:
        """The vendor's object for this library's part of a collection; asks the server nothing."""
        found = client.collections.use(collection.name)
        return found.with_tenant(self.tenant) if self.tenant else found

    def make(self, client: weaviate.WeaviateClient, collection: Collection) -> None:
        """Make a collection and its tenant, or what it lacks of them."""
        if client.collections.exists(collection.name):
            _add_properties(client, collection)
        else:
            self._create(client, collection)
        if self.tenant:
            client.collections.use(collection.name).tenants.create([Tenant(name=self.tenant)])

    def drop(self, client: weaviate.WeaviateClient, collection: Collection) -> None:
        """Delete this library's part of a collection, if there is one."""
        if not self.tenant:
            client.collections.delete(collection.name)
        elif client.collections.exists(collection.name):
            client.collections.use(collection.name).tenants.remove([self.tenant])

    def _is_in(self, client: weaviate.WeaviateClient, name: str) -> bool:
        return not self.tenant or client.collections.use(name).tenants.exists(self.tenant)

    def _create(self, client: weaviate.WeaviateClient, collection: Collection) -> None:
        space = collection.space
        try:
            client.collections.create(
                collection.name,
                description=None if space is None else _described(space),
                properties=_properties(is_words=space is None),
                vector_config=None if space is None else _vector_config(),
                # Every word counts: "the" is asked for too.
                inverted_index_config=Configure.inverted_index(
                    stopwords_preset=StopwordsPreset.NONE
                ),
                multi_tenancy_config=Configure.multi_tenancy(enabled=bool(self.tenant)),
            )
        except UnexpectedStatusCodeError:  # another process was quicker, or it is an error
            if not client.collections.exists(collection.name):
                raise


def _add_properties(client: weaviate.WeaviateClient, collection: Collection) -> None:
    """Add what collections of older versions lack."""
    config = client.collections.use(collection.name).config
    known = {one.name for one in config.get().properties}
    for one in _properties(is_words=collection.space is None):
        if one.name not in known:
            config.add_property(one)


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
    stems = Property(
        name=STEMS,
        data_type=DataType.TEXT,
        tokenization=Tokenization.WHITESPACE,
        index_filterable=False,
        index_searchable=True,
    )
    unasked = {SIZE: DataType.INT, "item": DataType.INT, "text": DataType.TEXT}
    unasked |= {"start_s": DataType.NUMBER, "end_s": DataType.NUMBER}
    unasked |= {"language": DataType.TEXT} if is_words else {"time_s": DataType.NUMBER}
    plainly = (Property(name=n, data_type=t, **plain) for n, t in unasked.items())
    return [owner, generation, stems, *plainly]
