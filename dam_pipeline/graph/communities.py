"""What belongs together: connected components, and communities named by what tells them apart.

Both are found anew for the whole library after every change: about a second each at 1.6 million
edges, and a new edge can move files that have nothing to do with it.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from dam_pipeline.graph.database import write_table
from dam_pipeline.graph.tables import COMMUNITIES, COMMUNITY_OF, COMPONENT_OF
from dam_pipeline.records import Json

SEED = 7
TERMS_KEPT = 3
LEAST_SHARE = 0.3  # of a community's files must have what it is named by
LEAST_LETTERS = 4  # of a word that names
NAMES_FROM = ("tags", "words", "camera", "file")

_PAIRS_SQL = """
    SELECT a_media, b_media, max(weight) AS weight FROM edges
    GROUP BY a_media, b_media ORDER BY a_media, b_media
"""
_WORDS_SQL = r"""
    WITH heard AS (
        SELECT DISTINCT media_id,
            unnest(regexp_extract_all(lower(nfc_normalize(text)), '\p{L}[\p{L}\p{M}]*')) AS word
        FROM segments WHERE media_id IN (SELECT media_id FROM named)
    )
    SELECT media_id, list(word ORDER BY word) FROM heard WHERE length(word) >= ?
    GROUP BY media_id
"""


def write_communities(connection: Any, tags: Mapping[str, Sequence[str]]) -> int:
    """Write `communities`, `community_of` and `component_of`; gives the number of communities.

    `tags` are the labels of each media's tags, those that stand for the whole library's media. A
    community has two media at least and is numbered by size, the largest first.
    """
    communities, components = _memberships(connection)
    write_table(connection, "component_of", _members(COMPONENT_OF, components))
    write_table(connection, "community_of", _members(COMMUNITY_OF, communities))
    rows = _named(connection, communities, tags)
    write_table(connection, "communities", pa.Table.from_pylist(rows, COMMUNITIES))
    return len(rows)


def telling_terms(
    members: Sequence[str],
    terms: Mapping[str, Sequence[str]],
    holders: Mapping[str, int],
    total: int,
) -> list[str]:
    """The terms that tell these media from all others: their share × log(total ÷ holders), best first.

    A term that every file of the library has tells nothing, unless it is all there is. Of equal ones
    the longest is best: short words are everybody's.
    """
    inside = Counter(term for one in members for term in set(terms.get(one, ())))
    scored = {
        term: count / len(members) * (math.log(total / holders[term]) + 1e-6)
        for term, count in inside.items()
        if count >= max(LEAST_SHARE * len(members), min(2, len(members)))
    }
    return sorted(scored, key=lambda term: (-round(scored[term], 9), -len(term), term))[:TERMS_KEPT]


def _memberships(connection: Any) -> tuple[list[list[str]], list[list[str]]]:
    """The communities and the components of all media with edges, each the largest first."""
    import igraph

    pairs = connection.sql(_PAIRS_SQL).to_arrow_table()
    one, other = (pairs[name].to_pylist() for name in ("a_media", "b_media"))
    ids: list[str] = sorted({*one, *other})
    places = {media_id: number for number, media_id in enumerate(ids)}
    links = [(places[a], places[b]) for a, b in zip(one, other, strict=True)]
    graph = igraph.Graph(n=len(ids), edges=links)
    igraph.set_random_number_generator(random.Random(SEED))
    found = graph.community_leiden(
        objective_function="modularity", weights=pairs["weight"].to_pylist(), n_iterations=10
    )
    return _ordered(ids, found), _ordered(ids, graph.connected_components())


def _ordered(ids: Sequence[str], groups: Iterable[Sequence[int]]) -> list[list[str]]:
    named = [sorted(ids[number] for number in group) for group in groups]
    return sorted((one for one in named if len(one) > 1), key=lambda one: (-len(one), one))


def _members(schema: pa.Schema, groups: Sequence[Sequence[str]]) -> pa.Table:
    name = schema.names[1]
    rows = [{"media_id": m, name: at} for at, group in enumerate(groups, 1) for m in group]
    return pa.Table.from_pylist(rows, schema)


def _named(
    connection: Any, communities: Sequence[Sequence[str]], tags: Mapping[str, Sequence[str]]
) -> list[dict[str, Json]]:
    facts = {
        media_id: rest
        for media_id, *rest in connection.execute(
            "SELECT media_id, name, camera, created_at FROM media"
        ).fetchall()
    }
    sources = {"tags": tags, "words": _words(connection)}
    holders = {
        source: Counter(term for one in terms.values() for term in set(one))
        for source, terms in sources.items()
    }
    rows = []
    for number, members in enumerate(communities, 1):
        named_by, terms = "", list[str]()
        for source, known in sources.items():
            if not terms:
                named_by = source
                terms = telling_terms(members, known, holders[source], len(facts))
        if not terms:
            named_by, terms = _by_facts([facts[one] for one in members])
        dates = sorted(facts[one][2] for one in members if facts[one][2])
        rows.append(
            {
                "community": number,
                "name": ", ".join(terms),
                "named_by": named_by,
                "terms": terms,
                "media": len(members),
                "first_created_at": dates[0] if dates else None,
                "last_created_at": dates[-1] if dates else None,
            }
        )
    return rows


def _by_facts(facts: Sequence[Sequence[str | None]]) -> tuple[str, list[str]]:
    """A name by the commonest camera and day, or by the first file's name."""
    cameras = Counter(camera for _, camera, _ in facts if camera)
    days = Counter(created_at[:10] for _, _, created_at in facts if created_at)
    terms = [min(found, key=lambda one: (-found[one], one)) for found in (cameras, days) if found]
    if terms:
        return "camera", terms
    return "file", [f"files like {min(name or '' for name, _, _ in facts)}"]


def _words(connection: Any) -> dict[str, list[str]]:
    """The words heard in each media that is in a community."""
    connection.execute("CREATE OR REPLACE TEMP VIEW named AS SELECT media_id FROM community_of")
    rows = connection.execute(_WORDS_SQL, [LEAST_LETTERS]).fetchall()
    found = defaultdict(list[str], rows)
    return dict(found)
