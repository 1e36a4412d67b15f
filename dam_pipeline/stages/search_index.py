"""L2: the file's rows in the vector store; the store is an index and can be rebuilt from them."""

from collections.abc import Generator, Sequence

from dam_pipeline.records import State
from dam_pipeline.search.index_rows import index_media
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import Stage
from dam_pipeline.stages.work import Toolbox, Work


def _run(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
    media_ids = [work.media.media_id for work in works]
    counts = index_media(tools.store, tools.derived, media_ids, tools.catalogue.spaces.apart())
    for media_id in media_ids:
        rows = counts[media_id]
        if any(rows.values()):
            yield Outcome(State.DONE, result=rows)
        else:
            yield Outcome.empty("nothing to search for in this file")


STAGE = Stage(
    name="search_index",
    level="L2",
    version=3,
    description="Rows of this file in the search index: keyframes, faces, spoken words and sentences.",
    run=_run,
    inputs=("probe",),
    enrichments=("clip_embeddings", "face_embeddings", "transcript", "sentence_embeddings"),
    kinds=("lancedb",),
)
