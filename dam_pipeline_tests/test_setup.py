"""Set-up: one command, pinned to the byte, and a clear word where it cannot go on."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
# What the script itself calls, beside the tools that it looks for.
SHELL_TOOLS = ("awk", "bash", "cat", "dirname", "env", "flock", "grep", "head", "sha256sum")


def requirements() -> list[str]:
    """The entries of the lock, each with its hashes."""
    return re.split(r"\n(?=\S)", "\n".join(x for x in LOCK.splitlines() if "#" not in x))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what set-up reads, and `bin`, the only place where it finds commands."""
    folder = tmp_path / "clone"
    (folder / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/setup.sh", folder / ".ci")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "bin").mkdir()
    for name in (*SHELL_TOOLS, "exiftool", "espeak-ng"):
        (folder / "bin" / name).symlink_to(shutil.which(name))
    add_command(folder, "python3", f'exec "{sys.executable}" "$@"')
    add_command(folder, "id", "echo 1000")
    return folder


def add_command(clone: Path, name: str, script: str) -> None:
    """Put a command of our own into the clone's `bin`."""
    path = clone / "bin" / name
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


def set_up(clone: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script with the clone's commands alone."""
    environment = {"PATH": str(clone / "bin"), "HOME": os.environ["HOME"], **variables}
    command = ["bash", str(clone / ".ci/setup.sh")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_lock_names_no_registry_host() -> None:
    assert "://" not in LOCK
    assert "index-url" not in LOCK


def test_every_requirement_of_the_lock_is_pinned_by_version_and_hash() -> None:
    entries = requirements()
    assert len(entries) > 100
    assert [
        e for e in entries if not re.match(r"[\w.-]+==\S+", e) or "--hash=sha256:" not in e
    ] == []


def test_the_lock_holds_everything_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    names = {re.match(r"[\w.-]+", line)[0].lower() for line in wanted}
    locked = {re.match(r"[\w.-]+", entry)[0].lower() for entry in requirements()}
    assert names - locked == set()


def test_without_root_it_names_what_an_administrator_has_to_install(clone: Path) -> None:
    add_command(clone, "apt-get", "echo called >&2")
    result = set_up(clone)
    assert result.returncode == 1
    assert "ffmpeg (reads video and sound)" in result.stdout
    assert "Have an administrator run: apt-get install ffmpeg; then run again" in result.stderr
    assert "called" not in result.stderr
    assert not (clone / ".venv").exists()


def test_as_root_it_installs_only_what_is_missing(clone: Path) -> None:
    add_command(clone, "id", "echo 0")
    add_command(clone, "apt-get", 'echo "apt-get $*" >&2; [ "$1" = update ]')
    result = set_up(clone)
    assert result.returncode != 0
    assert "ffmpeg" in result.stderr
    assert "exiftool" not in result.stderr
    assert "espeak-ng" not in result.stderr


def test_without_apt_it_says_so(clone: Path) -> None:
    result = set_up(clone)
    assert result.returncode == 1
    assert "This system has no apt-get" in result.stderr


def test_a_python_that_does_not_fit_is_refused(clone: Path) -> None:
    add_command(clone, "oldpython", "exit 1")
    result = set_up(clone, PYTHON="oldpython")
    assert result.returncode == 1
    assert "PYTHON=oldpython is not a Python 3.11 to 3.14" in result.stderr


def test_a_machine_without_python_is_told_where_it_comes_from(clone: Path) -> None:
    (clone / "bin/python3").unlink()
    result = set_up(clone)
    assert result.returncode == 1
    assert "No Python 3.11 to 3.14 was found" in result.stderr


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.findall(r"make ([\w-]+)  ", told.stdout) == targets


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "make test" in (ROOT / "README.md").read_text()
    assert re.search(r"^make test", (ROOT / ".ci/run").read_text(), re.M)
