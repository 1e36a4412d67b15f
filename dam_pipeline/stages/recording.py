"""What is kept of an outcome: the document of its file, with where it came from, and the catalogue's row."""

from collections.abc import Mapping

from dam_pipeline.catalogue.catalogue import now_iso
from dam_pipeline.records import Provenance, StageRow, State, StoredOutcome
from dam_pipeline.stages.freshness import SETTLED, StageVersion, inputs_of
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import Stage
from dam_pipeline.stages.work import Work
from dam_pipeline.stores.derived import content_version

PARKED = "parked"  # begins the reason of what is not tried again by itself


def stored_outcome(
    stage: Stage, work: Work, outcome: Outcome, version: StageVersion, run_id: str, seconds: float
) -> StoredOutcome:
    """An outcome as it is kept, with what made it; `seconds` is what it took."""
    model = outcome.model
    provenance = Provenance(
        code_version=version.code_version,
        settings_hash=version.settings_hash,
        settings=version.settings,
        run_id=run_id,
        when=now_iso(),
        seconds=round(seconds, 4),
        inputs=inputs_of(stage, work.media, work.rows),
        model=model.name if model else "",
        revision=model.revision if model else "",
        weights_sha256=model.weights_sha256 if model else "",
        also=outcome.also,
        original_sha256=_sha256(work, outcome),
    )
    return StoredOutcome(
        media_id=work.media.media_id,
        stage=stage.name,
        state=outcome.state,
        reason=outcome.reason,
        retryable=outcome.retryable,
        attempts=_attempts(work.rows.get(stage.name), outcome, version),
        result=outcome.result,
        rows=outcome.table.num_rows if outcome.table is not None else 0,
        data_version=_data_version(outcome),
        provenance=provenance,
    )


def stage_row(stored: StoredOutcome) -> StageRow:
    """The catalogue's row of an outcome file."""
    made_by = stored.provenance
    return StageRow(
        media_id=stored.media_id,
        stage=stored.stage,
        state=stored.state,
        reason=stored.reason,
        retryable=stored.retryable,
        attempts=stored.attempts,
        code_version=made_by.code_version,
        model=made_by.model,
        weights_sha256=made_by.weights_sha256,
        settings_hash=made_by.settings_hash,
        data_version=stored.data_version,
        inputs=made_by.inputs,
        seconds=made_by.seconds,
        run_id=made_by.run_id,
        updated_at=made_by.when,
    )


def parked(deaths: int, work: Work) -> Outcome:
    """The outcome of a file that is not tried again, because it kills whoever tries."""
    return Outcome(
        State.FAILED,
        f"{PARKED}: {deaths} worker processes died while they were at this file, so it is left "
        f"alone. Look into it, then `dam retry {work.media.partition_key}`.",
    )


def _attempts(before: StageRow | None, outcome: Outcome, version: StageVersion) -> int:
    same_try = (
        before is not None
        and before.state is not State.DONE
        and before.code_version == version.code_version
    )
    earlier = before.attempts if before and same_try else 0
    return earlier if outcome.state is State.BLOCKED else earlier + 1


def _sha256(work: Work, outcome: Outcome) -> str:
    """SHA-256 of the original as `checksum` found it, now or before; empty when it did not yet."""
    if outcome.state is State.BLOCKED:  # nobody keeps it, and to ask may be what is blocked
        return ""
    found = outcome.result.get("sha256") or work.sha256
    return str(found)


def _data_version(outcome: Outcome) -> str:
    if outcome.state not in SETTLED:
        return ""
    what: Mapping[str, object] = (
        outcome.result if outcome.version_of is None else outcome.version_of
    )
    return content_version({"state": outcome.state, "result": what}, outcome.table)
