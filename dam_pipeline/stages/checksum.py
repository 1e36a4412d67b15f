"""L0: the proof of the file's identity."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from dam_pipeline.errors import SourceChanged
from dam_pipeline.records import State
from dam_pipeline.sources.originals import pieces
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.work import Toolbox, Work

READ_BYTES = 4 << 20


def _run(work: Work, _tools: Toolbox) -> Outcome:
    digest = hashlib.sha256()
    read = 0
    original = work.original
    for piece in pieces(original.listed) if work.is_streamed else _local_pieces(original.path):
        digest.update(piece)
        read += len(piece)
        work.progress(read / max(work.media.size_bytes, 1))
    if read != work.media.size_bytes:
        raise SourceChanged(
            f"{original.listed.uri} has {read} bytes, not {work.media.size_bytes}: it changed while "
            "it was read. It is taken anew at the next look."
        )
    return Outcome(State.DONE, result={"sha256": digest.hexdigest(), "size_bytes": read})


def _local_pieces(path: Path) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(READ_BYTES):
            yield piece


STAGE = Stage(
    name="checksum",
    level="L0",
    version=1,
    description="SHA-256 of every byte of the original: proves which file all results stand on.",
    run=each(_run),
    kinds=("json",),
)
