"""A small library that went through `dam ingest` once, for the tests of commands and pages.

Ten files: clips that resemble each other, speech twice, a photograph, faces, a broken file, and one
whose name would be markup and is no UTF-8.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import CliRunner, Result

from dam_pipeline.samples.contents import SampleFile

SAMPLES = (
    "clips/reel.mp4",
    "clips/reel-for-web.mp4",
    "clips/interview.mp4",
    "sound/memo.flac",
    "photos/IMG_1001.jpg",
    "faces/astronaut.jpg",
    "faces/astronaut-mirrored.png",
    "broken/empty.mp4",
)
ODD_NAME = b'caf\xe9 <b>&"x".jpg'
DAM = Path(sys.executable).with_name("dam")
ENDS_WITHIN_S = 500


@dataclass(frozen=True)
class Library:
    """A processed home, the folder of its originals, and what the ingest said."""

    home: Path
    originals: Path
    ingest_code: int
    ingest: Mapping[str, Any]

    def environment(self) -> dict[str, str]:
        """The variables under which commands work on it."""
        return {
            "DAM_HOME": str(self.home),
            "DAM_PROFILE": "bundled",
            "DAM_MODELS_DIR": str(self.originals.parent / "models"),
            "DAM_TORCH_THREADS": "1",
            "DAM_SETTLE_S": "0",
        }

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make it the home of this process."""
        for name, value in self.environment().items():
            monkeypatch.setenv(name, value)
        # prepare_home sets it: taken back with the rest at the end of the test.
        monkeypatch.setenv("DAGSTER_HOME", str(self.home / "dagster"))

    def copy(self, home: Path) -> "Library":
        """The same library in a home of the test's own, which it may spoil."""
        shutil.copytree(self.home, home, ignore=shutil.ignore_patterns("scratch"))
        return Library(home, self.originals, self.ingest_code, self.ingest)

    def key(self, name: str) -> str:
        """The partition key of the file of this name."""
        found = [one for one in self.ingest["media"] if one["uri"].endswith(f"/{name}")]
        return str(found[0]["partition_key"])

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run `dam` as a process of its own."""
        return run_dam(self.environment(), *words)

    def json(self, *words: str) -> Any:
        """What `dam` answers, as a process of its own."""
        return json_of(self.environment(), *words)


def run_dam(environment: Mapping[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the console script `dam` with these variables added."""
    return subprocess.run(
        [DAM, *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )


def json_of(environment: Mapping[str, str], *words: str) -> Any:
    """What `dam` answers with these variables; some files may have failed."""
    done = run_dam(environment, *words, "--json")
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout)


def dam(*words: str) -> Result:
    """Run `dam` in this process, on the home of the environment."""
    from dam_pipeline.cli.main import app

    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def dam_json(*words: str) -> Any:
    """What a command answers with `--json`; the command must end well."""
    result = dam(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def processed_library(
    shared_folder: Path, samples: Mapping[str, SampleFile], names: Sequence[str] = SAMPLES
) -> Library:
    """The library, processed by the first test that asks. Read it only: `copy` it to change it."""
    base = shared_folder / "processed"
    made = base / "ingest.json"
    library = Library(base / "home", base / "originals", 0, {})
    with FileLock(shared_folder / "processed.lock"):
        if not made.exists():
            shutil.rmtree(base, ignore_errors=True)
            for name in names:
                path = library.originals / name
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(samples[name].path, path)
            shutil.copy2(
                samples["photos/IMG_1003.jpg"].path,
                os.path.join(os.fsencode(library.originals), ODD_NAME),
            )
            done = library.run("ingest", str(library.originals), "--json")
            assert done.returncode in (0, 3), done.stderr
            made.write_text(json.dumps([done.returncode, json.loads(done.stdout)]))
    code, document = json.loads(made.read_text())
    return Library(library.home, library.originals, code, document)
