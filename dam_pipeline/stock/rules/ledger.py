"""Rules on what became of earlier deliveries to the agency."""

from collections.abc import Iterator

from dam_pipeline.stock.rules.rule import Advice, Batch, Case, Said, Wrong, batch_rule


@batch_rule("error")
def already_delivered(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """The agency does not have it yet, unless it is to be delivered again."""
    for case in batch.cases:
        found = batch.delivered.get(case.item.media.asset_id)
        if found and not batch.again:
            message = f"{batch.agency.name} has it since {found.when[:10]}: {found.file}."
            yield case, Wrong(message, "Say --again to deliver it once more.")


@batch_rule("warning")
def rejected_before(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """The agency has not rejected it before."""
    for case in batch.cases:
        if found := batch.rejected.get(case.item.media.asset_id):
            reason = f": {found.reason}" if found.reason else ""
            message = f"{batch.agency.name} rejected it on {found.when[:10]}{reason.rstrip('.')}."
            yield case, Advice(message, f"Mend that first: dam stock show {case.key}")


RULES = (already_delivered, rejected_before)
