"""How long does a second `dam ingest` of an unchanged library take, for each thousand files?

The library is seeded: files of a few bytes each, derived files that say of every stage that it ran and
found nothing, then `dam rebuild`. Measured is the whole command, start-up reported beside it; baseline
is a plain walk of the same folder that takes each file's size and time. It must start no run, so nothing
is decoded and no model is loaded; that is checked.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pipeline import DAM, timed
from results import Figure, keep, middle, tell, tell_machine

from dam_pipeline.catalogue.catalogue import now_iso
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.records import Media, MediaKind, Probe, Provenance, StageRow, State, StoredOutcome
from dam_pipeline.settings import load_settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.freshness import StageVersion, inputs_of, stage_versions
from dam_pipeline.stages.recording import stage_row
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stores.derived import content_version


def make_files(folder: Path, count: int) -> None:
    """Files that differ, a hundred a folder."""
    for number in range(count):
        path = folder / f"{number // 100:03}" / f"photo-{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8\xff" + number.to_bytes(8, "big"))


def seed(home: Path, folder: Path) -> None:
    """Register the files and write, for every stage of each, that it found nothing."""
    settings = load_settings(home)
    with Toolbox.open(settings) as tools:
        discover([folder], tools.catalogue, tools.derived, settings)
        for media in tools.catalogue.all_media():
            rows: dict[str, StageRow] = {}
            for name in STAGES:
                stored = _nothing_found(media, name, rows)
                tools.derived.write_outcome(stored, None)
                rows[name] = stage_row(stored)


def _nothing_found(media: Media, name: str, rows: Mapping[str, StageRow]) -> StoredOutcome:
    version = VERSIONS[name]
    made_by = Provenance(
        code_version=version.code_version,
        settings_hash=version.settings_hash,
        settings=version.settings,
        run_id="seed",
        when=now_iso(),
        seconds=0.0,
        inputs=inputs_of(STAGES[name], media, rows),
    )
    return StoredOutcome(
        media_id=media.media_id,
        stage=name,
        state=State.EMPTY,
        reason="seeded",
        retryable=False,
        attempts=1,
        result=NO_PROBE.to_json() if name == "probe" else {},
        rows=0,
        data_version=content_version({}, None),
        provenance=made_by,
    )


def dam(*words: str | Path) -> dict[str, object]:
    """What a command answers with `--json`; raises SystemExit when it does not end well."""
    found = subprocess.run([DAM, *words, "--json"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"dam {words[0]} ended badly: {found.stderr[-2000:]}")
    document: dict[str, object] = json.loads(found.stdout)
    return document


def walk(folder: Path) -> int:
    """Sizes and times of all files, and no more."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            os.stat(os.path.join(place, name))
            count += 1
    return count


def main() -> None:
    """Seed, rebuild, ingest again, tell and keep the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--files", type=int, default=10_000)
    options = parser.parse_args()
    here = tell_machine()
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        folder, home = Path(name) / "files", Path(name) / "home"
        os.environ.update(DAM_HOME=str(home), DAM_PROFILE="bundled", DAM_SETTLE_S="0")
        VERSIONS.update(stage_versions(load_settings(home)))
        make_files(folder, options.files)
        tell(f"  seeding took {timed(lambda: seed(home, folder)).wall_s:.0f} s")
        (home / "catalogue.db").unlink()
        tell(f"  dam rebuild took {timed(lambda: dam('rebuild')).wall_s:.0f} s")
        nothing = timed(lambda: subprocess.run([DAM, "--help"], capture_output=True, check=True))
        ours: list[float] = []
        plain: list[float] = []
        for _ in range(options.repeats):
            ours.append(timed(lambda: _check(dam("ingest", folder), options.files)).wall_s)
            plain.append(timed(lambda: walk(folder)).wall_s)
        thousands = options.files / 1000
        tell(f"  start-up of the command alone: {nothing.wall_s:.1f} s")
        value, baseline = middle(ours) / thousands, middle(plain) / thousands
        unit = "s a thousand files"
        keep(Figure(f"unchanged_{options.files}", value, baseline, unit, options.repeats), here)


def _check(document: Mapping[str, object], files: int) -> None:
    if document["run_ids"] or document["unchanged"] != files:
        raise SystemExit(f"the library was not left alone: {document['run_ids']}")


NO_PROBE = Probe(
    kind=MediaKind.IMAGE,
    container="jpeg",
    duration_s=0.0,
    size_bytes=11,
    width=1,
    height=1,
    rotation_deg=0,
    has_video=False,
    has_audio=False,
    frame_rate=0.0,
    is_variable_frame_rate=False,
    codecs=("mjpeg",),
)
VERSIONS: dict[str, StageVersion] = {}

if __name__ == "__main__":
    main()
