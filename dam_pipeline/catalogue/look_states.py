"""What a look at a source leaves for the next one, one small JSON file a source.

Kept out of the sensor's cursor, which Dagster stores and shows whole: a first scan of 100,000 files
leaves as many waiting ones. Losing a file here costs one look, never a media.
"""

import hashlib
import json
import os
from pathlib import Path

from dam_pipeline.sources.scan import LookState, Pending
from dam_pipeline.stores.derived import replaced

FORMAT = 1


def load_look_state(home: Path, name: str, root: str) -> LookState:
    """The state that the last look at a source left; an empty one if there is none for that root."""
    try:
        document = json.loads(_path(home, name).read_bytes())
        if (document["format"], document["root"]) != (FORMAT, root):
            return LookState()
        pending = {uri: Pending(*values) for uri, values in document["pending"].items()}
        return LookState(pending, document["refused_since_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return LookState()


def save_look_state(home: Path, name: str, root: str, state: LookState) -> None:
    """Keep a state for the next look; raises DiskFull."""
    document = {
        "format": FORMAT,
        "name": name,
        "root": root,
        "refused_since_s": state.refused_since_s,
        "pending": {
            uri: (one.size_bytes, one.mtime_ns, one.since_s) for uri, one in state.pending.items()
        },
    }
    with replaced(_path(home, name)) as temporary:
        temporary.write_text(json.dumps(document))


def unfinished_listing(home: Path, name: str) -> Path:
    """Where the listing of a source waits for the next tick, if it is a bucket's."""
    return _path(home, name).with_suffix(".listing")


def _path(home: Path, name: str) -> Path:
    digest = hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()
    return home / "looks" / f"{digest}.json"
