"""Rules on the file that is sent: the master it is made from, and what it is called."""

from collections.abc import Iterator

from dam_pipeline.formats import suffix_of
from dam_pipeline.stock.file_names import deliverable_names
from dam_pipeline.stock.rules.rule import Batch, Case, Mended, Said, Wrong, batch_rule, rule


@rule("error")
def master_missing(case: Case) -> Iterator[Said]:
    """The master can be read now."""
    if not case.item.uri:
        message = (
            f"The file {case.item.media.first_name} is at none of the places where it was seen."
        )
        yield Wrong(message, "Connect the disk, or `dam ingest` the folder that it is in now.")


@rule("error")
def master_changed(case: Case) -> Iterator[Said]:
    """The master is as it was when it was taken in."""
    if case.item.is_changed:
        message = f"The file {case.item.media.first_name} was written to since it was taken in."
        yield Wrong(message, "`dam ingest` it as it is now, or bring the original back.")


@rule("error")
def master_superseded(case: Case) -> Iterator[Said]:
    """The master is the newest version of its file."""
    if newer := case.item.media.superseded_by:
        message = f"The file was replaced by a newer version ({newer})."
        yield Wrong(message, f"dam stock shortlist remove {case.key}; then add {newer}.")


@rule("error")
def never_processed(case: Case) -> Iterator[Said]:
    """The file was looked at, so that its form can be held against what the agency takes."""
    name, trouble = case.item.media.first_name, case.item.trouble.rstrip(".")
    if trouble:
        fix = f"Copy it again from its source and `dam ingest` it, or dam stock shortlist remove {case.key}"
        yield Wrong(f"The file {name} could not be read: {trouble}.", fix)
    elif not case.is_probed:
        yield Wrong(f"The file {name} was never processed.", f"dam retry {case.key}")


@rule("error")
def checksum_missing(case: Case) -> Iterator[Said]:
    """The SHA-256 of the master is known, so that a package can say what it was made from."""
    if not case.item.sha256 and case.is_probed:
        yield Wrong("The SHA-256 of the master is not known yet.", f"dam retry {case.key}")


@batch_rule("fix")
def file_name(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """Each file has a name of its own, in the characters and the length that the agency takes."""
    wanted = [(case.item.media, _suffix(case)) for case in batch.cases]
    names = deliverable_names(wanted, batch.agency.file_name)
    for case in batch.cases:
        before, after = case.submission.file_name, names[case.item.media.media_id]
        if before != after:
            yield (
                case,
                Mended("It is called so in the package.", before, after, {"file_name": after}),
            )


MASTER_RULES = (
    master_missing,
    master_changed,
    master_superseded,
    never_processed,
    checksum_missing,
)
NAME_RULES = (file_name,)


def _suffix(case: Case) -> str:
    return case.rendition.suffix or suffix_of(case.item.media.first_name)
