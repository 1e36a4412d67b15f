"""How the generator calls ffmpeg and espeak-ng: argument lists, no shell, a clear word on failure."""

import subprocess
from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from dam_pipeline.errors import ConfigurationError


def run_tool(*command: str, frames: Iterable[np.ndarray] = ()) -> None:
    """Run a tool to its end, `frames` (uint8 pictures) going to its standard input.

    Raises ConfigurationError when it is not installed or ends badly, with its own words.
    """
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{command[0]} is not installed, and the samples are made with it. Run: make setup"
        ) from error
    with process:
        # When it ends early, its status and its words tell why, not the broken pipe.
        with suppress(BrokenPipeError):
            for frame in frames:
                process.stdin.write(frame.tobytes())  # type: ignore[union-attr]
        _, words = process.communicate()
    if process.returncode:
        raise ConfigurationError(
            f"{command[0]} could not make {command[-1]}: {words.decode(errors='replace').strip()}"
        )
