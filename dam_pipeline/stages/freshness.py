"""Whether a stored outcome still stands: pure decisions over rows, versions and inputs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from dam_pipeline.models import identify
from dam_pipeline.records import Json, Media, ModelRef, StageRow, State
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.stage import Stage

SETTLED = (State.DONE, State.EMPTY, State.REMOVED)
ORIGINAL = "original"


@dataclass(frozen=True, slots=True)
class StageVersion:
    """What decides a stage's results besides the file: code, settings, models, earlier stages.

    `code_version` is `<version>.<own hash>.<hash with all earlier stages>`: the last part changes
    exactly when the stage or anything it depends on does.
    """

    code_version: str
    settings: Mapping[str, Json]
    settings_hash: str

    @property
    def own(self) -> str:
        """The part that does not look at earlier stages."""
        return self.code_version.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state a person sees, with its reason."""

    state: State
    reason: str


def stage_versions(settings: Settings) -> dict[str, StageVersion]:
    """The present version of every stage; reads settings and the hashes of weights, loads nothing."""
    models = identify(settings)
    versions: dict[str, StageVersion] = {}
    for stage in STAGES.values():
        values = {name: getattr(settings, name) for name in stage.settings}
        values |= stage.others(settings) if stage.others else {}
        settings_hash = _hash(values)
        weights = [_name(models.get(kind)) for kind in stage.models]
        own = _hash([stage.version, settings_hash, weights])[:6]
        earlier = [versions[name].code_version for name in (*stage.inputs, *stage.enrichments)]
        chain = _hash([own, earlier])[:6]
        versions[stage.name] = StageVersion(f"{stage.version}.{own}.{chain}", values, settings_hash)
    return versions


def code_versions(settings: Settings) -> dict[str, str]:
    """The present code version of every stage."""
    return {name: one.code_version for name, one in stage_versions(settings).items()}


def inputs_of(stage: Stage, media: Media, rows: Mapping[str, StageRow]) -> dict[str, str]:
    """Data versions that the stage would use now; an enrichment that has not settled is empty."""
    if not (stage.inputs or stage.enrichments):
        return {ORIGINAL: original_version(stage, media)}
    return {
        name: rows[name].data_version if _settled(rows.get(name)) else ""
        for name in (*stage.inputs, *stage.enrichments)
    }


def original_version(stage: Stage, media: Media) -> str:
    """Identity of the bytes that a first stage reads; only `probe` reads the sidecars too."""
    with_sidecars = stage.name == "probe" and media.sidecar_version
    return f"{media.media_id}+{media.sidecar_version}" if with_sidecars else media.media_id


def waits_for(stage: Stage, rows: Mapping[str, StageRow]) -> str | None:
    """The first input that has not settled, or None."""
    return next((name for name in stage.inputs if not _settled(rows.get(name))), None)


def is_fresh(
    stage: Stage, media: Media, rows: Mapping[str, StageRow], version: StageVersion
) -> bool:
    """Whether the stored outcome came from the present code, settings, models and inputs."""
    row = rows.get(stage.name)
    if row is None or not _settled(row):
        return False
    if row.state is State.REMOVED:
        return True
    return row.code_version == version.code_version and same_inputs(stage, media, rows)


def same_inputs(stage: Stage, media: Media, rows: Mapping[str, StageRow]) -> bool:
    """Whether the stored outcome was made from the inputs as they are now."""
    return dict(rows[stage.name].inputs) == inputs_of(stage, media, rows)


def needs_only_a_stamp(
    stage: Stage, media: Media, rows: Mapping[str, StageRow], version: StageVersion
) -> bool:
    """Whether only earlier stages' code changed, and what they gave did not."""
    row = rows.get(stage.name)
    if row is None or row.state not in (State.DONE, State.EMPTY):
        return False
    own = row.code_version.rpartition(".")[0]
    return own == version.own and same_inputs(stage, media, rows)


def verdicts(
    media: Media,
    rows: Mapping[str, StageRow],
    versions: Mapping[str, StageVersion],
    running: Mapping[tuple[str, str], str],
) -> dict[str, Verdict]:
    """The state of every stage on one media as a person should see it."""
    seen: dict[str, Verdict] = {}
    for stage in STAGES.values():
        seen[stage.name] = _verdict(stage, media, rows, versions[stage.name], running, seen)
    return seen


def due_stages(
    rows: Mapping[str, StageRow], seen: Mapping[str, Verdict], max_attempts: int
) -> list[str]:
    """Stages that a run would bring further by itself, without a person asking for a retry.

    Failures that nobody called retryable, or that failed too often, are left to `dam retry`; so is
    what waits for them.
    """
    due: list[str] = []
    for name, verdict in seen.items():
        missing = waits_for(STAGES[name], rows)
        row = rows.get(name)
        if verdict.state is State.NEVER:
            is_due = missing is None or missing in due
        elif verdict.state is State.FAILED:
            is_due = row is not None and row.retryable and row.attempts < max_attempts
        else:
            is_due = verdict.state in (State.STALE, State.BLOCKED)
        if is_due:
            due.append(name)
    return due


def _verdict(
    stage: Stage,
    media: Media,
    rows: Mapping[str, StageRow],
    version: StageVersion,
    running: Mapping[tuple[str, str], str],
    seen: Mapping[str, Verdict],
) -> Verdict:
    row = rows.get(stage.name)
    if run_id := running.get((media.media_id, stage.name)):
        return Verdict(State.RUNNING, f"in run {run_id}")
    if row is None:
        missing = waits_for(stage, rows)
        return Verdict(State.NEVER, f"waits for {missing}" if missing else "")
    if row.state not in (State.DONE, State.EMPTY):
        return Verdict(row.state, row.reason)
    before = (*stage.inputs, *stage.enrichments)
    upstream = next((name for name in before if seen[name].state is State.STALE), None)
    if row.code_version != version.code_version:
        cause = "code, model or settings changed"
        if row.code_version.startswith(version.own + "."):
            cause = f"{upstream} is stale" if upstream else "an earlier stage was made anew"
        return Verdict(State.STALE, cause)
    if not same_inputs(stage, media, rows):
        return Verdict(
            State.STALE,
            "the original or its sidecars changed"
            if not before
            else "an earlier stage has a new result",
        )
    return Verdict(row.state, row.reason)


def _settled(row: StageRow | None) -> bool:
    return row is not None and row.state in SETTLED


def _name(model: ModelRef | None) -> str:
    return f"{model.name}@{model.weights_sha256}" if model else "missing"


def _hash(value: Json) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
