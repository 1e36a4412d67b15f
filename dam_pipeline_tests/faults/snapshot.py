"""What a library is, as one JSON document that two libraries can be compared by.

Nothing in it depends on when or how often something ran. What is wrong in itself, whatever another
library is like, stands under `untrue`.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg

from dam_pipeline.dagster_home import open_instance
from dam_pipeline.errors import DamError
from dam_pipeline.graph.read import related
from dam_pipeline.partitions import PARTITIONS
from dam_pipeline.records import State
from dam_pipeline.settings import load_settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.work import Toolbox

SETTLED = (State.DONE, State.EMPTY)


def snapshot() -> dict[str, Any]:
    """The library of `DAM_HOME`."""
    settings = load_settings()
    with Toolbox.open(settings) as tools, open_instance(settings) as instance:
        media = tools.catalogue.all_media()
        rows = tools.catalogue.states.of([one.media_id for one in media])
        keys = {one.media_id: one.partition_key for one in media}
        states = {
            keys[media_id]: {
                stage: [row.state.value, row.data_version] for stage, row in sorted(of.items())
            }
            for media_id, of in rows.items()
        }
        return {
            "states": states,
            "index": _index(tools),
            "graph": _graph(tools, keys),
            "partitions": sorted(instance.get_dynamic_partitions(PARTITIONS)),
            "materialized": {
                stage: sorted(instance.get_materialized_partitions(dg.AssetKey(stage)))
                for stage in STAGES
            },
            "untrue": [*_untrue(tools, keys, rows), *_unheard(instance, keys, rows)],
            "leases": len(tools.catalogue.states.running()),
        }


def _index(tools: Toolbox) -> dict[str, int]:
    try:
        return tools.store.counts()
    except DamError as error:
        return {str(error): -1}


def _graph(tools: Toolbox, keys: dict[str, str]) -> dict[str, int]:
    """Edges by kind, and the pair that each ties."""
    edges: Counter[str] = Counter()
    for media_id, key in keys.items():
        try:
            found = related(tools.settings, media_id, tools.catalogue)
        except DamError:  # no graph yet
            return {}
        edges.update(f"{one.kind} {key} {keys.get(one.other_media_id, '?')}" for one in found)
    return dict(sorted(edges.items()))


def _untrue(tools: Toolbox, keys: dict[str, str], rows: dict[str, Any]) -> list[str]:
    """Rows that say something else than the files that they stand for."""
    found = []
    for media_id, of in rows.items():
        for stage, row in of.items():
            if row.state not in SETTLED:
                continue
            stored = tools.derived.outcome(media_id, stage)
            if stored is None or stored.data_version != row.data_version:
                found.append(f"{keys[media_id]} {stage}: the row is {row.state}, its file is not")
            elif stored.rows:
                tools.derived.table(media_id, stage)
    return found


def _unheard(instance: dg.DagsterInstance, keys: dict[str, str], rows: dict[str, Any]) -> list[str]:
    """Partitions that Dagster counts as made although the catalogue does not."""
    settled = {
        (stage, keys[media_id])
        for media_id, of in rows.items()
        for stage, row in of.items()
        if row.state in SETTLED
    }
    return [
        f"{key} {stage}: Dagster has it, the catalogue has not"
        for stage in STAGES
        for key in instance.get_materialized_partitions(dg.AssetKey(stage))
        if (stage, key) not in settled
    ]


def write_snapshot(path: str) -> None:
    """Write the snapshot to a file."""
    Path(path).write_text(json.dumps(snapshot()))
