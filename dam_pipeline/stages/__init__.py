"""The stages: what is done with every media file, each in a file of its own.

A stage is a name, a level, inputs, a version and a function from files to outcomes. To add one,
write its module and name it in `STAGES`; assets, states, retries, status and lineage follow.
"""

from dam_pipeline.stages import (
    checksum,
    clip_embeddings,
    face_embeddings,
    fingerprints,
    keyframes,
    poster,
    probe,
    scenes,
    search_index,
    sentence_embeddings,
    shots,
    tags,
    transcript,
)
from dam_pipeline.stages.stage import Stage

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        checksum.STAGE,  # first: whatever is made carries the proof of what it was made from
        probe.STAGE,
        poster.STAGE,
        shots.STAGE,
        keyframes.STAGE,
        fingerprints.STAGE,
        clip_embeddings.STAGE,
        tags.STAGE,
        face_embeddings.STAGE,
        transcript.STAGE,
        sentence_embeddings.STAGE,
        scenes.STAGE,
        search_index.STAGE,
    )
}
"""All stages by name, each after its inputs."""
