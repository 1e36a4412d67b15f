"""How long does a library take, against the obvious Dagster project: a run a file, a step an asset?

Ours: wall time of `dam ingest` of ten files on a new home, start-up included. The obvious way, with the
same tools: partitioned assets of the same names, written as one would first (`obvious_project.py`), one run
for each partition, Dagster's default multiprocess executor, its storage as it comes; each step loads
what it needs. Speech, faces and the graph are left out there. Once.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import machine
import material
from pipeline import ingest, timed
from results import Figure, keep, tell, tell_machine

FILES = 10


def obvious_s(originals: Path, home: Path, model: Path) -> float:
    """Wall seconds of the obvious project over all files."""
    os.environ["OBVIOUS"] = json.dumps({"folder": str(home), "model": str(model)})
    import dagster as dg
    from obvious_project import FILES_PARTITIONS, obvious_job

    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    paths = sorted(str(path) for path in originals.iterdir())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions(FILES_PARTITIONS.name or "", [Path(p).name for p in paths])

        def run_all() -> None:
            for path in paths:
                result = dg.execute_job(
                    dg.reconstructable(obvious_job),
                    instance=instance,
                    tags={"dagster/partition": Path(path).name, "path": path},
                )
                if not result.success:
                    raise SystemExit(f"the obvious project failed on {path}")

        return timed(run_all).wall_s


def main() -> None:
    """Make the material, run each once, tell and keep the figure."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    here = tell_machine()
    sys.path.insert(0, str(Path(__file__).parent))
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        folder = Path(name)
        originals = folder / "originals"
        clips = material.make_clips(originals, 5)
        for path in material.make_photographs(folder / "photographs", FILES - len(clips)):
            path.rename(originals / path.name)
        model = material.make_full_size_clip(folder / "vit-b32-random")
        settings = {
            "DAM_PROFILE": "bundled",
            "DAM_SPEECH": "false",
            "DAM_FACES": "false",
            "DAM_SETTLE_S": "0",
            "DAM_MODELS_DIR": str(folder / "models"),
            "DAM_CLIP_MODEL": str(model),
            "DAM_TORCH_THREADS": str(machine.threads()),
        }
        ours_s = ingest(originals, folder / "home", settings).wall_s
        tell(f"input     {FILES} files; ours, all stages but speech and faces: {ours_s:.1f} s")
        other_s = obvious_s(originals, folder / "obvious", model)
    keep(Figure("obvious_dagster", ours_s, other_s, "s", 1), here)


if __name__ == "__main__":
    main()
