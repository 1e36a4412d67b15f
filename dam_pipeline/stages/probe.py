"""L0: what the file says of itself."""

from dam_pipeline.records import Facts, State
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.work import Toolbox, Work


def _run(work: Work, tools: Toolbox) -> Outcome:
    sidecars = work.original.sidecars()
    with work.original.ranges() as view:
        path = view.path if view and view.path else work.original.path
        probe = tools.prober.probe(path, work.media.kind, sidecars, view)
    tools.catalogue.set_facts(
        [
            Facts(
                media_id=work.media.media_id,
                kind=probe.kind,
                duration_s=probe.duration_s,
                has_audio=probe.has_audio,
                created_at=probe.created_at,
                camera=probe.camera,
            )
        ]
    )
    # Words and ratings do not change what decoding gives, so they leave the later stages fresh.
    return Outcome(State.DONE, result=probe.to_json(), version_of=probe.essence)


STAGE = Stage(
    name="probe",
    level="L0",
    version=2,
    description=(
        "What the file says of itself: streams, size, duration, rotation, colour, camera, lens, "
        "place and time of recording, title, keywords and rating (sidecars win over the file)."
    ),
    run=each(_run),
    kinds=("ffmpeg", "json"),
)
