"""Does memory grow with duration? Peak of `dam ingest` on a clip of 60 minutes, against 10 minutes.

Both clips are of the same source and size; speech and faces are off. Measured is the proportional set
size (PSS) of the command and all its children together, several times a second, on a new home.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import material
from pipeline import DAM
from results import Figure, keep, middle, tell, tell_machine

LOOK_EVERY_S = 0.25
LONG_MIN, SHORT_MIN = 60, 10


def peak_mb(original: Path, home: Path) -> float:
    """Most memory (10⁶ bytes) that the command and its children held at once."""
    environment = {
        **{n: v for n, v in os.environ.items() if not n.startswith(("DAM_", "DAGSTER_"))},
        "DAM_HOME": str(home),
        "DAM_PROFILE": "bundled",
        "DAM_SPEECH": "false",
        "DAM_FACES": "false",
        "DAM_SETTLE_S": "0",
    }
    command = [DAM, "ingest", original, "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(pss_bytes(pid) for pid in family(process.pid)))
            time.sleep(LOOK_EVERY_S)
        if process.returncode:
            raise SystemExit(f"dam ingest {original.name} ended with {process.returncode}")
    return peak / 1e6


def family(pid: int) -> list[int]:
    """A process and all its descendants that live now."""
    try:
        listed = Path(f"/proc/{pid}/task").glob("*/children")
        children = [int(child) for file in listed for child in file.read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(one for child in children for one in family(child))]


def pss_bytes(pid: int) -> int:
    """Memory of a process, shared pages by its share of them; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)


def main() -> None:
    """Make the clips, measure both in turns, tell and keep the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    here = tell_machine()
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        folder = Path(name)
        short = material.make_long_clip(folder / "short.mp4", SHORT_MIN)
        long = material.make_long_clip(folder / "long.mp4", LONG_MIN)
        peaks: dict[Path, list[float]] = {short: [], long: []}
        for turn in range(options.repeats):
            for path, found in peaks.items():
                found.append(peak_mb(path, folder / f"home-{path.stem}-{turn}"))
                tell(f"  {path.stem}: {found[-1]:.0f} MB")
    figure = Figure(
        "memory_60_to_10_min", middle(peaks[long]), middle(peaks[short]), "MB", options.repeats
    )
    keep(figure, here)


if __name__ == "__main__":
    main()
