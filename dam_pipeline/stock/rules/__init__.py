"""Whether an agency will take an item: rules that look at records and files as its specification says.

A rule is a function in the file of its theme; its name is the rule's id and its docstring what
`dam stock check --rules` says of it. Nothing here knows an agency, and nothing is written.
"""

from collections.abc import Sequence

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.graph.among import near_duplicates_of
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.deliveries import Deliveries, DeliveryState, there_already
from dam_pipeline.stock.record import Item, Rendition, Submission, Verdict
from dam_pipeline.stock.rules import (
    batches,
    categories,
    clips,
    files,
    formats,
    ledger,
    pictures,
    rights,
    text,
)
from dam_pipeline.stock.rules.rule import Batch, Case, Rule

__all__ = ["RULES", "Batch", "Case", "Rule", "check_items", "decide", "submission_of"]

RULES: tuple[Rule, ...] = (
    *files.MASTER_RULES,
    *ledger.RULES,
    *text.FILLING_RULES,
    *rights.RULES,
    *text.WORD_RULES,
    *categories.RULES,
    *formats.KIND_RULES,
    *clips.LENGTH_RULES,
    *formats.FORM_RULES,
    *pictures.RULES,
    *clips.FRAME_RULES,
    *clips.LOOK_RULES,
    *formats.SIZE_RULES,
    *files.NAME_RULES,
    *batches.RULES,
)
"""All rules in the order in which they run: a caption needs its text, a length the caption, a name the
form of the file, and a batch all of it."""


def check_items(
    tools: Toolbox, items: Sequence[Item], agency: Agency, *, again: bool = False
) -> list[Verdict]:
    """What the rules say of items that are to go to an agency together, in the items' order.

    With `again`, what the agency has already may go once more. Raises ConfigurationError for a
    specification that cannot be followed, SchemaMismatch for a damaged ledger, StoreUnavailable for
    a damaged graph.
    """
    latest = Deliveries(tools.settings).latest()
    to_agency = [one for one in latest.values() if one.agency == agency.id]
    batch = Batch(
        agency,
        [Case(one, agency, submission_of(one, agency)) for one in items],
        delivered=there_already(latest, agency.id, {one.asset_id for one in to_agency}),
        rejected={x.asset_id: x for x in to_agency if x.state is DeliveryState.REJECTED},
        alike=near_duplicates_of(tools.settings, [one.media.media_id for one in items]),
        again=again,
    )
    return decide(batch)


def decide(batch: Batch) -> list[Verdict]:
    """Let all rules run over a batch."""
    for one in RULES:
        for case, said in one.run(batch):
            case.hear(one.id, said)
    return [case.verdict() for case in batch.cases]


def submission_of(item: Item, agency: Agency) -> Submission:
    """What the record says, as it would go to the agency before any rule.

    Without a word on its use it is for commercial use, as every portal takes it.
    """
    record = item.record
    return Submission(
        file_name=item.media.first_name,
        title=record.title,
        description=record.description,
        keywords=record.keywords,
        categories=categories.codes_of(agency, record),
        usage=record.usage or "commercial",
        rendition=Rendition(),
        releases=record.releases,
        place=record.place,
        date=record.date,
        people=record.people,
        is_generated=record.is_generated,
        is_mature=record.is_mature,
        is_illustration=record.is_illustration,
        price_usd=record.price_usd,
        creator=record.creator,
        copyright=record.copyright,
    )
