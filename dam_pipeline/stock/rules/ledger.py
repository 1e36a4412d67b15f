"""Rules on what the agency has already."""

from collections.abc import Iterator

from dam_pipeline.stock.rules.rule import Batch, Case, Said, Wrong, batch_rule


@batch_rule("error")
def already_delivered(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """The agency does not have it yet, unless it is to be delivered again."""
    for case in batch.cases:
        found = batch.delivered.get(case.item.media.asset_id)
        if found and not batch.again:
            message = f"{batch.agency.name} has it since {found.when[:10]}: {found.file}."
            yield case, Wrong(message, "Say --again to deliver it once more.")


RULES = (already_delivered,)
