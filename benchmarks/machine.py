"""What a benchmark ran on: processor, cores, memory, load, the versions that matter, the commit."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

CLONE = Path(__file__).resolve().parents[1]
PACKAGES = ("dagster", "torch", "transformers", "av", "pillow")


def threads() -> int:
    """One thread a core, as the pipeline counts them."""
    return os.cpu_count() or 1


def describe() -> dict[str, str | int | float]:
    """The machine as results.json keeps it; `load` is the 1-minute average before the work."""
    return {
        "processor": _processor(),
        "cores": threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "ffmpeg": _words("ffmpeg", "-version").split()[2],
        **{name: version(name) for name in PACKAGES},
    }


def commit() -> str:
    """The commit of this clone, with a `+` when files of it were changed since."""
    head = _words("git", "-C", str(CLONE), "rev-parse", "--short=12", "HEAD").strip()
    return head + ("+" if _words("git", "-C", str(CLONE), "status", "--porcelain") else "")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _words(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
