"""Which programs open and write media here, as a package's manifest names them."""

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import version

from dam_pipeline.errors import ConfigurationError

TIMEOUT_S = 20.0
LIBRARIES = ("pillow", "pillow-heif", "rawpy")  # decode the photographs that are made anew


@lru_cache(maxsize=1)
def tool_versions() -> dict[str, str]:
    """Versions by name, exiftool's and ffmpeg's among them; raises ConfigurationError."""
    return {
        "dam_pipeline": version("dam_pipeline"),
        "exiftool": _said("exiftool", "-ver"),
        "ffmpeg": _said("ffmpeg", "-version").split()[2],
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _said(program: str, question: str) -> str:
    try:
        answer = subprocess.run(
            [program, question], capture_output=True, timeout=TIMEOUT_S, check=True, text=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(
            f"{program} does not run ({error}). `dam doctor` says how to install it."
        ) from error
    return answer.stdout.strip()
