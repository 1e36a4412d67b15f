"""Bad input and trouble through the real commands: one bad thing costs no other file its place."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote_to_bytes

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest
from clips import X264_ANY_SIZE, encode, ffmpeg, flip_bytes, keep_head, place, shots, tone
from PIL import Image

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.records import StageRow, State
from dam_pipeline.run_tags import PROCESS_TAG
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox

pytestmark = [pytest.mark.slow, pytest.mark.weights]

DAM = Path(sys.executable).with_name("dam")
AS_ORDINARY_USER = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override")
    if os.geteuid() == 0
    else ()
)
"""Before a command: permissions count even when root runs the tests."""

FASTSTART = ("-movflags", "+faststart")
QUICK = ("probe", "checksum", "shots", "keyframes")
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nplain.mp4\n#EXT-X-ENDLIST\n"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="a.png"/></svg>\n'

# Name, the stage that fails, words of the reason.
BAD = (
    ("empty.mp4", "probe", "is empty (0 bytes). Copy it again"),
    ("text.mp4", "probe", "is not what its name says"),
    ("no-moov.mp4", "probe", "Copy it again from its source"),
    ("playlist.ts", "probe", "is not what its name says"),
    ("drawing.png", "probe", "holds SVG, not a picture"),
    ("secret.mp4", "probe", "may not be read"),
    ("noise.mp4", "shots", "holds no picture that can be decoded"),
    ("huge.png", "shots", "DAM_MAX_MEGAPIXELS"),
)
PARTIAL = ("truncated.mp4", "flipped.mp4")
NOT_MEDIA = ("playlist.m3u8", "drawing.svg", "loop.mp4")
ODD_NAMES = (
    b"two words.png",
    b'it\'s "quoted" $(and) `so on`;.png',
    b"line\nbreak.png",
    "clapper 🎬.png".encode(),
    b"x" * 251 + b".png",
    b"latin-\xe9.png",
    unicodedata.normalize("NFC", "é.png").encode(),
    unicodedata.normalize("NFD", "é.png").encode(),
)
SOUND = ("plain.mp4", "one-frame.mp4", "odd-size.mp4", "two-tracks.m4a")


@dataclass
class Home:
    """A home of its own, and the commands on it."""

    path: Path
    settings: dict[str, str]

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """A command, as a terminal starts it: in a process group of its own."""
        return subprocess.Popen(
            [*AS_ORDINARY_USER, DAM, *arguments],
            env={**os.environ, **self.settings, "DAM_HOME": str(self.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )

    def json(self, *arguments: str | Path) -> tuple[int, dict]:
        """A command's exit code and what it answers."""
        command = self.start(*arguments, "--json")
        answer, words = command.communicate()
        assert answer, words.decode()
        return command.returncode, json.loads(answer)

    def rows(self) -> dict[str, dict[str, StageRow]]:
        """The recorded states by file name and stage."""
        with open_catalogue(self.path) as catalogue:
            media = {one.media_id: one.first_name for one in catalogue.all_media()}
            return {media[one]: rows for one, rows in catalogue.states.of([*media]).items()}

    def recorded(self) -> set[tuple[str, str]]:
        """(media id, stage) of what is recorded so far; harmless while a command is at work."""
        try:
            with closing(sqlite3.connect(f"file:{self.path}/catalogue.db?mode=ro", uri=True)) as db:
                return set(db.execute("SELECT media_id, stage FROM stage_state"))
        except sqlite3.OperationalError:  # not made yet
            return set()

    def runs(self) -> list[dg.DagsterRun]:
        """Dagster's runs of the job `ingest`, the newest first."""
        folder = str(self.path / "dagster")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_HOME", folder)
            with dg.DagsterInstance.from_config(folder) as instance:
                return list(instance.get_runs(dg.RunsFilter(job_name="ingest")))

    def assert_nothing_is_half_written(self) -> None:
        """Read every derived file that has its final name."""
        documents = sorted(self.path.glob("derived/*/*/[a-z]*.json"))
        assert documents
        for path in documents:
            json.loads(path.read_bytes())
        for path in self.path.glob("derived/*/*/[a-z]*.parquet"):
            pq.read_table(path, partitioning=None)
        for path in self.path.glob("derived/*/*/**/[a-z]*.jpg"):
            with Image.open(path) as picture:
                picture.load()


def contents(folder: Path) -> dict[bytes, tuple[str, int, int]]:
    """What a folder holds, by raw name: hash, mode and time of change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            digest = sha256(path.read_bytes()).hexdigest()
            found[os.fsencode(path.name)] = (digest, status.st_mode, status.st_mtime_ns)
    return found


def open_home(folder: Path, shared_folder: Path, **settings: str) -> Home:
    return Home(
        folder / "home",
        {
            "DAM_PROFILE": "bundled",
            "DAM_MODELS_DIR": str(shared_folder / "models"),
            "DAM_TORCH_THREADS": "1",
            "DAM_SETTLE_S": "0",
            **settings,
        },
    )


# One folder with all that can be wrong with files


@dataclass(frozen=True)
class Ingested:
    """What two ingests of the bad folder and the status said."""

    home: Home
    folder: Path
    before: dict[bytes, tuple[str, int, int]]
    first: tuple[int, dict]
    second: tuple[int, dict]
    status: tuple[int, dict]

    def stages(self, name: str | bytes) -> dict[str, dict]:
        """State, reason and so on of every stage of a file."""
        raw = name.encode() if isinstance(name, str) else name
        (media,) = [m for m in self.status[1]["media"] if raw_name(m["locations"][0]) == raw]
        return media["stages"]


def raw_name(location: dict) -> bytes:
    return unquote_to_bytes(location["uri"]).rpartition(b"/")[2]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Ingested:
    base = tmp_path_factory.mktemp("trouble")
    folder = base / "originals"
    folder.mkdir()
    make_bad_files(folder)
    make_good_files(folder, base)
    before = contents(folder)
    home = open_home(base, shared_folder)
    first = home.json("ingest", folder)
    second = home.json("ingest", folder)
    return Ingested(home, folder, before, first, second, home.json("status"))


def make_bad_files(folder: Path) -> None:
    cuts = (50, 50, 75)
    keep_head(encode(folder / "truncated.mp4", shots(cuts), *FASTSTART, "-g", "25"), 0.5)
    flip_bytes(encode(folder / "flipped.mp4", shots(cuts), "-g", "10"), 300, 0.3, 0.4)
    keep_head(encode(folder / "no-moov.mp4", shots((50,))), 0.5)
    noise = encode(folder / "noise.mp4", shots((40,)), *FASTSTART)
    data = bytearray(noise.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = np.random.default_rng(0).bytes(len(data) - start)
    noise.write_bytes(data)
    encode(folder / "secret.mp4", shots((30,))).chmod(0)
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("Dear diary, this is no film.\n")
    Image.new("1", (24_000, 24_000)).save(folder / "huge.png")
    for name in ("playlist.ts", "playlist.m3u8"):
        (folder / name).write_text(PLAYLIST)
    for name in ("drawing.png", "drawing.svg"):
        (folder / name).write_text(SVG)
    (folder / "deep").mkdir()
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")


def make_good_files(folder: Path, aside: Path) -> None:
    encode(folder / "plain.mp4", shots((25, 25)), inputs=("-i", tone(aside / "low.wav", 2.0)))
    encode(folder / "one-frame.mp4", shots((1,), 256, 144))
    encode(folder / "odd-size.mp4", shots((20,), 321, 181), codec=X264_ANY_SIZE)
    high = tone(aside / "high.wav", 2.0, 880)
    both = ("-i", aside / "low.wav", "-i", high, "-map", "0", "-map", "1", "-c:a", "aac")
    ffmpeg(*both, folder / "two-tracks.m4a")
    for number, name in enumerate(ODD_NAMES):
        Image.fromarray(place(number, 96, 64)).save(aside / "picture.png")
        os.rename(aside / "picture.png", os.path.join(os.fsencode(folder), name))


def test_bad_files_are_counted_and_told_by_the_exit_code(ingested: Ingested) -> None:
    code, answer = ingested.first
    good = len(ODD_NAMES) + len(SOUND) + len(PARTIAL)
    assert code == 3
    counted = {name: answer[name] for name in ("discovered", "done", "failed", "blocked")}
    total = good + len(BAD)
    assert counted == {"discovered": total, "done": good, "failed": len(BAD), "blocked": 0}


@pytest.mark.parametrize(("name", "stage", "words"), BAD, ids=[name for name, _, _ in BAD])
def test_a_bad_file_fails_with_its_reason(
    ingested: Ingested, name: str, stage: str, words: str
) -> None:
    stages = ingested.stages(name)
    assert stages[stage]["state"] == "failed"
    assert name in stages[stage]["reason"]
    assert words in stages[stage]["reason"]
    waiting = stages["keyframes"]
    assert (waiting["state"], waiting["reason"]) == ("never", f"waits for {stage}")


@pytest.mark.parametrize("name", PARTIAL)
def test_what_can_be_read_of_a_damaged_film_is_kept_and_said_to_be_a_part(
    ingested: Ingested, name: str
) -> None:
    stages = ingested.stages(name)
    assert stages["shots"]["state"] == stages["search_index"]["state"] == "done"
    assert stages["shots"]["reason"].startswith("partial: read ")


@pytest.mark.parametrize("name", [*SOUND, *ODD_NAMES], ids=ascii)
def test_a_good_file_beside_them_is_done(ingested: Ingested, name: str | bytes) -> None:
    states = {stage: one["state"] for stage, one in ingested.stages(name).items()}
    assert set(states.values()) <= {"done", "empty"}
    assert states["checksum"] == states["probe"] == states["poster"] == "done"


def test_what_is_no_media_by_name_or_only_points_elsewhere_is_left_out(ingested: Ingested) -> None:
    found = [raw_name(m["locations"][0]) for m in ingested.status[1]["media"]]
    assert not {name.encode() for name in NOT_MEDIA} & set(found)
    assert len(found) == len(set(found))


def test_a_symlink_loop_gives_no_file_a_second_place(ingested: Ingested) -> None:
    assert {len(media["locations"]) for media in ingested.status[1]["media"]} == {1}


def test_a_second_ingest_starts_no_run_and_still_ends_with_three(ingested: Ingested) -> None:
    (code, answer), (_, first) = ingested.second, ingested.first
    assert code == 3
    assert answer["run_ids"] == []
    assert (answer["new"], answer["unchanged"]) == (0, first["discovered"])
    assert answer["media"] == first["media"]


def test_status_ends_with_three_and_counts_every_stage(ingested: Ingested) -> None:
    code, answer = ingested.status
    assert code == 3
    assert list(answer["totals"]) == list(STAGES)
    assert {sum(count.values()) for count in answer["totals"].values()} == {len(answer["media"])}


def test_the_originals_are_as_they_were(ingested: Ingested) -> None:
    assert contents(ingested.folder) == ingested.before


def test_every_derived_file_of_the_bad_folder_can_be_read(ingested: Ingested) -> None:
    ingested.home.assert_nothing_is_half_written()


# A command that is stopped or killed in the middle


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four films; the ones after the first take long enough to be stopped in."""
    folder = tmp_path_factory.mktemp("films")
    for number, frames in enumerate((10, 250, 251, 252)):
        encode(folder / f"film-{number}.mp4", shots((frames,), 480, 270))
    return folder


def stop_in_the_middle(home: Home, clips: Path, how: signal.Signals) -> subprocess.Popen[bytes]:
    """Ingest, and send the signal when the first film is done; returns the ended command."""
    command = home.start("ingest", clips, "--json")
    while not any(stage == "search_index" for _, stage in home.recorded()):
        assert command.poll() is None, command.communicate()[1].decode()
        time.sleep(0.02)
    if how == signal.SIGINT:
        os.killpg(command.pid, how)  # as a terminal does on Ctrl-C
    else:
        command.send_signal(how)
    command.wait(timeout=120)
    return command


def assert_the_next_ingest_only_does_the_rest(home: Home, clips: Path) -> None:
    home.assert_nothing_is_half_written()
    before = home.rows()
    assert 0 < sum(map(len, before.values())) < len(before) * len(STAGES)
    code, answer = home.json("ingest", clips)
    assert (code, answer["done"], answer["new"]) == (0, 4, 0)
    after = home.rows()
    for name, rows in before.items():
        for stage, row in rows.items():
            assert after[name][stage] == row, f"{name} at {stage} was done again"
    home.assert_nothing_is_half_written()


def test_after_ctrl_c_the_next_ingest_only_does_the_rest(
    tmp_path: Path, shared_folder: Path, clips: Path
) -> None:
    before = contents(clips)
    home = open_home(tmp_path, shared_folder, DAM_GROUP_FILES="1", DAM_SPEECH="false")
    command = stop_in_the_middle(home, clips, signal.SIGINT)
    assert command.returncode == 130
    assert b"What was finished is kept" in command.communicate()[1]
    assert home.runs()[0].is_finished
    assert_the_next_ingest_only_does_the_rest(home, clips)
    assert contents(clips) == before


def test_after_a_kill_the_next_ingest_only_does_the_rest(
    tmp_path: Path, shared_folder: Path, clips: Path
) -> None:
    before = contents(clips)
    home = open_home(tmp_path, shared_folder, DAM_GROUP_FILES="1", DAM_SPEECH="false")
    command = stop_in_the_middle(home, clips, signal.SIGKILL)
    (killed,) = home.runs()
    assert killed.status is dg.DagsterRunStatus.STARTED
    assert f"/{command.pid}/" in killed.tags[PROCESS_TAG]
    assert_the_next_ingest_only_does_the_rest(home, clips)
    statuses = {run.run_id: run.status for run in home.runs()}
    assert statuses.pop(killed.run_id) is dg.DagsterRunStatus.FAILURE
    assert set(statuses.values()) == {dg.DagsterRunStatus.SUCCESS}
    assert contents(clips) == before


# A disk that fills up


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with little more than the reserve, which `grow` makes larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=270m", "tmpfs", folder]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def grow(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=2g", disk], check=True)


def test_a_disk_that_fills_up_blocks_what_is_left_until_there_is_room(
    tmp_path: Path, small_disk: Path, shared_folder: Path
) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (1440, 1920, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"noise-{number}.jpg", quality=95)
    home = open_home(
        small_disk, shared_folder, DAM_GROUP_FILES="1", DAM_KEYFRAME_PX="1920", DAM_SPEECH="false"
    )
    code, answer = home.json("ingest", folder)
    assert code == 3
    assert answer["done"] > 0 < answer["blocked"]
    assert answer["done"] + answer["blocked"] == 8
    before = home.rows()
    waiting = [r for rows in before.values() for r in rows.values() if r.state is State.BLOCKED]
    assert all("room" in row.reason and row.attempts == 0 for row in waiting)
    home.assert_nothing_is_half_written()
    grow(small_disk)
    code, answer = home.json("ingest", folder)
    assert (code, answer["done"]) == (0, 8)
    after = home.rows()
    for name, rows in before.items():
        for stage, row in rows.items():
            assert row.state is State.BLOCKED or after[name][stage] == row


# Files that trouble the decoder, or change while it reads them


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    encode(folder / "bad.mp4", shots((30, 30)))
    encode(folder / "good.mp4", shots((31, 30)))
    return folder


def run_with_trouble(settings: Settings, films: Path, trouble) -> dict[str, dict[str, StageRow]]:
    """Rows by name after a run in which `trouble(tools)` befalls the bad film while it is read."""
    with Toolbox.open(settings) as tools:
        discover([films], tools.catalogue, tools.derived, settings)
        happened = []

        def on_progress(key: str, share: float) -> None:
            if key.startswith("bad-") and tools.decoder.pid and not happened:
                happened.append(share)
                trouble(tools)

        tools.tell_progress = on_progress
        media = {one.media_id: one.first_name for one in tools.catalogue.all_media()}
        run_stages(tools, list(media), QUICK, "run-1")
        assert happened
        return {media[one]: rows for one, rows in tools.catalogue.states.of([*media]).items()}


@pytest.mark.parametrize(
    ("what", "words"), [(signal.SIGKILL, "the decoder died"), (signal.SIGSTOP, "the decoder hung")]
)
def test_a_film_that_kills_or_hangs_the_decoder_fails_alone(
    settings: Settings, films: Path, what: signal.Signals, words: str
) -> None:
    limited = settings.model_copy(update={"decoder_stall_s": 2.0})
    rows = run_with_trouble(limited, films, lambda tools: os.kill(tools.decoder.pid, what))
    assert rows["bad.mp4"]["shots"].state is State.FAILED
    assert words in rows["bad.mp4"]["shots"].reason
    assert {rows["good.mp4"][stage].state for stage in QUICK} == {State.DONE}


def test_a_film_that_grows_while_it_is_read_is_taken_anew(settings: Settings, films: Path) -> None:
    def grow_film(_tools: Toolbox) -> None:
        with (films / "bad.mp4").open("ab") as film:
            film.write(b"more")

    rows = run_with_trouble(settings, films, grow_film)
    assert rows["bad.mp4"]["shots"].state is State.FAILED
    assert "changed after it was found" in rows["bad.mp4"]["shots"].reason
    assert rows["good.mp4"]["keyframes"].state is State.DONE
    with Toolbox.open(settings) as tools:
        (anew,) = discover([films], tools.catalogue, tools.derived, settings).new
        run_stages(tools, [anew.media_id], QUICK, "run-2")
        states = tools.catalogue.states.of([anew.media_id])[anew.media_id]
    assert {states[stage].state for stage in QUICK} == {State.DONE}


def test_a_film_that_vanishes_while_it_is_read_fails_alone_and_heals(
    settings: Settings, films: Path, tmp_path: Path
) -> None:
    bad, aside = films / "bad.mp4", tmp_path / "aside.mp4"
    rows = run_with_trouble(settings, films, lambda _tools: bad.rename(aside))
    gone = rows["bad.mp4"]["shots"]
    assert (gone.state, gone.retryable) == (State.FAILED, True)
    assert "gone" in gone.reason
    assert rows["good.mp4"]["keyframes"].state is State.DONE
    aside.rename(bad)
    with Toolbox.open(settings) as tools:
        (media,) = [m for m in tools.catalogue.all_media() if m.first_name == "bad.mp4"]
        run_stages(tools, [media.media_id], QUICK, "run-2")
        states = tools.catalogue.states.of([media.media_id])[media.media_id]
    assert {states[stage].state for stage in QUICK} == {State.DONE}
