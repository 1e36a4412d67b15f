"""Whether the originals still hold what was taken in: a sample, read whole, week by week."""

from collections import Counter
from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from dam_pipeline.assets.metadata import OWNER
from dam_pipeline.catalogue.fixity import (
    Fixity,
    FixityVerdict,
    Sample,
    known_bad,
    places_to_verify,
    sampled,
    verify,
)
from resources.library import LibraryResource

INTACT = "originals_intact"
NAMED = 50  # bad originals that the asset names


class VerifyConfig(dg.Config):
    """How much is read; unset: as the settings say."""

    share: float | None = Field(
        default=None, description="Share of the originals, the longest unverified first."
    )
    minutes: float | None = Field(
        default=None, description="Minutes after which no further file is read; 0: no limit."
    )
    gigabytes: float = Field(default=0.0, description="Most gigabytes; 0: no limit.")


@dg.asset(
    deps=["checksum"],
    group_name="L3_library",
    owners=[OWNER],
    kinds={"file"},
    code_version="1",
    check_specs=[
        dg.AssetCheckSpec(
            INTACT,
            asset="originals_verified",
            description="No original has changed, gone or become unreadable since it was taken in.",
        )
    ],
)
def originals_verified(
    context: dg.AssetExecutionContext, config: VerifyConfig, library: LibraryResource
) -> dg.MaterializeResult:
    """A sample of the originals, read whole and compared with their SHA-256.

    What was not verified for the longest time comes first, so that weeks cover the library. An
    original with the same size and time but other bytes has rotted: bring back a good copy.
    """
    with library.open() as tools:
        settings = tools.settings
        share = settings.verify_share if config.share is None else config.share
        minutes = settings.verify_minutes if config.minutes is None else config.minutes
        known = places_to_verify(tools.catalogue)
        places = sampled(known, Sample(share, size_bytes=int(config.gigabytes * 1e9)))
        context.log.info(
            f"{len(places)} of {len(known)} originals, "
            f"{sum(one.size_bytes for one in places) / 1e9:.2f} GB."
        )
        found = list(verify(tools.catalogue, tools.derived, places, minutes * 60))
        bad = known_bad(tools.catalogue)
    return dg.MaterializeResult(
        metadata=_metadata(found, bad, len(known)), check_results=[_check(bad)]
    )


def _metadata(
    found: Sequence[Fixity], bad: Sequence[Fixity], known: int
) -> dict[str, dg.MetadataValue | int | float]:
    counts = Counter(one.verdict for one in found)
    seconds = sum(one.seconds for one in found)
    return {
        "verified": len(found),
        "originals": known,
        **{verdict.value: counts[verdict] for verdict in FixityVerdict},
        "seconds": round(seconds, 3),
        "bad": _table(bad),
    }


def _check(bad: Sequence[Fixity]) -> dg.AssetCheckResult:
    """Failed for every original that was bad when last read, whichever sample that was in."""
    has_rotted = any(one.verdict is FixityVerdict.CHANGED for one in bad)
    severity = dg.AssetCheckSeverity.ERROR if has_rotted else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        check_name=INTACT,
        passed=not bad,
        severity=severity,
        description="\n".join(
            f"{one.uri} {one.verdict.value}: {one.reason}" for one in bad[:NAMED]
        ),
        metadata={"bad": _table(bad)},
    )


def _table(bad: Sequence[Fixity]) -> dg.MetadataValue:
    records = [
        dg.TableRecord({"verdict": one.verdict.value, "original": one.uri, "reason": one.reason})
        for one in bad[:NAMED]
    ]
    columns = [dg.TableColumn(name) for name in ("verdict", "original", "reason")]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))
