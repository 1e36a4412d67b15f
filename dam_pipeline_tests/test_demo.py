"""The demo on the sample library, as `make demo` runs it, through the real commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dam_pipeline.samples.contents import CONTENTS, SampleFile

pytestmark = [pytest.mark.slow, pytest.mark.weights]


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, sample_library: dict[str, SampleFile]
) -> tuple[int, str]:
    """Exit code and output of the demo, on samples that are made already."""
    folder = tmp_path_factory.mktemp("demo")
    samples = sample_library["clips/reel.mp4"].folder
    (folder / ".demo").mkdir()
    (folder / ".demo/samples").symlink_to(samples)
    environment = {**os.environ, "DAM_PROFILE": "bundled", "COLUMNS": "100"}
    command = [sys.executable, "-m", "dam_pipeline.cli.demo"]
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return result.returncode, result.stdout + result.stderr


def part(told: tuple[int, str], command: str) -> str:
    """What the demo shows under a command, up to the next empty line or command."""
    return re.split(r"\n(?:\n|\$)", told[1].split(f"$ dam {command}", 1)[1])[0]


def test_it_ends_well_although_two_files_are_broken(told: tuple[int, str]) -> None:
    assert told[0] == 0, told[1]
    assert "18 files" in told[1]
    assert "broken/empty.mp4 failed as it should at probe" in told[1]
    assert "broken/truncated.mp4 failed as it should at probe" in told[1]


def test_no_other_file_has_failed(told: tuple[int, str]) -> None:
    table = [line for line in told[1].splitlines() if "●" in line and "/" in line]
    assert sorted(line.split()[0] for line in table) == sorted(s.name for s in CONTENTS)
    assert [line.split()[0] for line in table if "✗" in line] == [
        "broken/empty.mp4",
        "broken/truncated.mp4",
    ]


def test_a_drawn_scene_is_found_first_where_it_was_drawn(told: tuple[int, str]) -> None:
    hits = part(told, 'search "one yellow triangle on a blue background"').splitlines()[1:]
    assert "clips/watch.mp4" in hits[0]
    start = re.search(r"(\d+):(\d\d\.\d)–", hits[0])
    seconds = int(start[1]) * 60 + float(start[2])
    assert 58 <= seconds < 75 or 148 <= seconds < 162


def test_a_spoken_word_is_found_where_it_is_said(told: tuple[int, str]) -> None:
    hits = part(told, "search orchestra")
    assert re.search(r"clips/interview\.mp4 +0:00\.\d–0:0[45]\.\d +Yesterday the orchestra", hits)
    assert "sound/memo.flac" in hits


def test_a_picture_finds_its_neighbour_in_the_burst(told: tuple[int, str]) -> None:
    assert "photos/IMG_1001.jpg" in part(told, "search --image")


def test_relations_are_shown(told: tuple[int, str]) -> None:
    web_copy = part(told, "related .demo/samples/clips/reel-for-web.mp4")
    assert re.search(r"looks_like .* clips/reel\.mp4", web_copy)
    portrait = part(told, "related .demo/samples/faces/astronaut-mirrored.png")
    assert re.search(r"same_face .* faces/astronaut\.jpg", portrait)
    memo = part(told, "related .demo/samples/sound/memo.flac")
    assert re.search(r"same_words .* clips/interview\.mp4", memo)


def test_it_says_how_to_open_the_ui(told: tuple[int, str]) -> None:
    assert "make dev DAM_HOME=.demo/home DAM_PROFILE=bundled" in told[1]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dam_pipeline.cli.demo", "--media", "/no/such/folder"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "/no/such/folder is no folder. Name one: make demo MEDIA=/folder" in result.stderr
