"""Checks of the machine for `dam doctor`: tools, weights, the home's disk, what processes left."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dam_pipeline.cli.findings import Finding, tried, well, wrong
from dam_pipeline.errors import ModelError
from dam_pipeline.settings import Settings

LEAST_FREE_BYTES = 2_000_000_000
TOOL_TIMEOUT_S = 20

# Program, its question for the version, the package that brings it.
TOOLS = (
    ("ffmpeg", "-version", "ffmpeg"),
    ("ffprobe", "-version", "ffmpeg"),
    ("exiftool", "-ver", "libimage-exiftool-perl"),
)


def check_tools() -> Iterator[Finding]:
    """Whether the programs that the pipeline calls are there and answer."""
    for name, question, package in TOOLS:
        mend = f"Install it: `apt-get install {package}`, or your system's package of that name."
        path = shutil.which(name)
        if path is None:
            yield wrong(name, f"{name} is not on the PATH.", mend)
            continue
        try:
            answer = subprocess.run(
                [path, question], capture_output=True, timeout=TOOL_TIMEOUT_S, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            yield wrong(name, f"{path} does not answer: {error}.", mend)
        else:
            first = answer.stdout.decode("utf-8", "replace").partition("\n")[0]
            yield well(name, f"{first.partition(' Copyright')[0]} ({path})")


def check_weights(settings: Settings) -> Iterator[Finding]:
    """Whether the weights of the profile's models are on this machine."""
    from dam_pipeline.models.known import Kind
    from dam_pipeline.models.locate import locate

    kinds: tuple[Kind, ...] = ("image_text", "face", "speech")
    for kind in kinds:
        check = f"weights {kind.replace('_', '-')}"
        try:
            found = locate(settings, kind)
        except ModelError as error:
            text = f"The stages that need it are blocked: {error}"
            yield wrong(check, text, "Then they go on by themselves, or with `dam retry`.")
        else:
            yield well(check, f"{found.name} ({found.path})")


def check_home(settings: Settings) -> Iterator[Finding]:
    """Whether the home can be written and has room."""
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            free = shutil.disk_usage(home).free
    except OSError as error:
        mend = "Set DAM_HOME to a folder that you may write, or mend its permissions."
        yield wrong("home", f"{home} cannot be written ({error.strerror or error}).", mend)
        return
    yield well("home", f"{home} can be written.")
    text = f"{free / 1e9:.1f} GB free on the disk of {home}."
    if free >= LEAST_FREE_BYTES:
        yield well("disk", text)
    else:
        yield wrong("disk", text, "Free some space: stages wait when none is left.")


def check_storage(settings: Settings) -> Finding:
    """Whether the storage that workers share can be written, listed, read and deleted from."""
    from dam_pipeline.stores.objects import LEAST_RIGHTS, Objects

    address = settings.storage_url

    def look() -> Finding:
        Objects(address).check()
        return well("storage", f"{address} can be written, listed, read and deleted from.")

    mend = f"The credentials need {LEAST_RIGHTS.format(address)}, and nothing else."
    return tried("storage", look, mend)


def check_leftovers(settings: Settings) -> Finding:
    """Scratch folders and unfinished files whose process no longer lives."""
    left = [path for path in _leftovers(settings.home) if not _lives(path)]
    if not left:
        return well("leftovers", "No process has left unfinished files.")

    def repair() -> str:
        for path in left:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return f"{len(left)} deleted"

    names = ", ".join(path.name for path in left[:3])
    text = f"{len(left)} unfinished files or folders of dead processes lie around ({names})."
    return wrong("leftovers", text, "`dam doctor --repair` deletes them.", repair)


def _leftovers(home: Path) -> Iterator[Path]:
    yield from (home / "scratch").glob("[0-9]*-*")
    yield from (home / "derived").glob("??/*/.*.tmp")
    yield from (home / "derived").glob("??/*/*/.*.tmp")


def _lives(path: Path) -> bool:
    """Whether the process lives that made a scratch folder or `.<name>.<pid>-….tmp`."""
    from dam_pipeline.stages import scratch

    name = path.name
    if path.match(scratch.NAMES):
        return scratch.lives(name)
    pid = (name.split(".")[-2] if name.endswith(".tmp") else name).partition("-")[0]
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
