"""Facts that the file tells by itself: when it was taken, whose camera, whether a model made it."""

from collections.abc import Iterator

from dam_pipeline.stock.record import Suggestion
from dam_pipeline.stock.suggestions.known import Known

CLOCK = 0.9  # cameras' clocks are mostly, not always, set
OWNER = 0.5  # a name set in the camera: it may have been lent or sold
PROMPT = 0.8
OWNER_TAGS = ("EXIF:OwnerName", "EXIF:CameraOwnerName", "MakerNotes:OwnerName")
PROMPT_TAGS = ("PNG:Parameters", "PNG:Prompt", "PNG:Workflow")  # of programs that generate pictures


def suggest(known: Known) -> Iterator[Suggestion]:
    """Date, creator, and that a model made it."""
    probe = known.probe
    if probe.created_at:
        by = f"the clock of {probe.camera}" if probe.camera else "the file's tags"
        yield Suggestion("date", probe.created_at, "probe", CLOCK, f"{by} says {probe.created_at}")
    tags = probe.raw.get("exiftool") or {}
    for name in OWNER_TAGS:
        if owner := str(tags.get(name) or "").strip():
            yield Suggestion("creator", owner, "probe", OWNER, f"{name}: the camera's owner")
            break
    found = next((name for name in PROMPT_TAGS if tags.get(name)), "")
    if found:
        yield Suggestion("is_generated", True, "probe", PROMPT, f"{found} holds a prompt")
