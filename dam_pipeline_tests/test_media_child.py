"""The decoder child's life: killed, hung, out of memory, out of disk, orphaned; never a nuisance."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from clips import encode, place, shots, tone
from PIL import Image

from dam_pipeline.errors import ConfigurationError, DiskFull, UnreadableMedia
from dam_pipeline.media.decoder import Decoder, LookPlan
from dam_pipeline.records import MediaKind, Shot
from dam_pipeline.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


def open_decoder(tmp_path: Path, **settings) -> Decoder:
    return Decoder(Settings(home=tmp_path / "home", **settings))


def test_a_decoder_that_cannot_start_is_no_files_fault(tmp_path, clip):
    settings = Settings(home=tmp_path).model_copy(update={"decoder_memory_mb": 60})
    with Decoder(settings) as decoder:
        with pytest.raises(ConfigurationError, match="DAM_DECODER_MEMORY_MB = 60"):
            decoder.look(clip, MediaKind.VIDEO, tmp_path, LookPlan())
        assert decoder.pid is None


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return encode(tmp_path_factory.mktemp("clips") / "clip.mp4", shots((400,), 640, 360))


def test_a_killed_decoder_costs_that_file_alone(tmp_path, clip):
    with open_decoder(tmp_path) as decoder:

        def kill(share: float) -> None:
            os.kill(decoder.pid, signal.SIGKILL)

        with pytest.raises(UnreadableMedia, match=r"clip\.mp4: the decoder died \(SIGKILL\)"):
            decoder.look(clip, MediaKind.VIDEO, tmp_path, LookPlan(), kill)
        assert decoder.pid is None
        assert decoder.look(clip, MediaKind.VIDEO, tmp_path, LookPlan()).frames == 400


def test_a_decoder_killed_between_two_files_is_replaced_unseen(tmp_path, clip):
    with open_decoder(tmp_path) as decoder:
        decoder.poster(clip, MediaKind.VIDEO, tmp_path / "poster.jpg", 320, 0.0)
        first = decoder.pid
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        decoder.poster(clip, MediaKind.VIDEO, tmp_path / "poster.jpg", 320, 0.0)
        assert decoder.pid != first


def test_a_hung_decoder_is_stopped_after_the_set_time(tmp_path, clip):
    with open_decoder(tmp_path, decoder_stall_s=3) as decoder:

        def stop(share: float) -> None:
            os.kill(decoder.pid, signal.SIGSTOP)

        begun_s = time.monotonic()
        with pytest.raises(UnreadableMedia, match=r"the decoder hung \(no progress for 3 s\)"):
            decoder.look(clip, MediaKind.VIDEO, tmp_path, LookPlan(), stop)
        assert time.monotonic() - begun_s < 30
        assert decoder.look(clip, MediaKind.VIDEO, tmp_path, LookPlan()).frames == 400


def test_a_picture_beyond_the_memory_limit_is_refused_with_the_limits_name(tmp_path):
    bomb = tmp_path / "bomb.png"
    Image.new("1", (18_000, 18_000)).save(bomb)
    with open_decoder(tmp_path, decoder_memory_mb=1024) as decoder:
        with pytest.raises(UnreadableMedia, match=r"bomb\.png.*DAM_DECODER_MEMORY_MB"):
            decoder.look(bomb, MediaKind.IMAGE, tmp_path, LookPlan())
        Image.fromarray(place(1)).save(tmp_path / "small.png")
        seen = decoder.look(tmp_path / "small.png", MediaKind.IMAGE, tmp_path, LookPlan())
        assert seen.shots == (Shot(0.0, 0.0),)


def test_the_least_memory_that_may_be_set_is_enough_for_a_clip(tmp_path, clip):
    with open_decoder(tmp_path, decoder_memory_mb=768) as decoder:
        assert decoder.look(clip, MediaKind.VIDEO, tmp_path, LookPlan()).frames == 400


def test_a_full_disk_is_not_the_files_fault(tmp_path, clip):
    sound = tone(tmp_path / "tone.wav", 2.0)
    with open_decoder(tmp_path) as decoder:
        with pytest.raises(DiskFull, match="Free space under DAM_HOME"):
            decoder.audio(sound, Path("/dev/full"))
        with pytest.raises(DiskFull):
            decoder.poster(clip, MediaKind.VIDEO, Path("/dev/full"), 320, 0.0)


def test_an_interrupt_of_the_parent_leaves_no_child_behind(tmp_path, clip):
    with open_decoder(tmp_path) as decoder:
        pids = []

        def interrupt(share: float) -> None:
            pids.append(decoder.pid)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            decoder.look(clip, MediaKind.VIDEO, tmp_path, LookPlan(), interrupt)
        assert not is_alive(pids[0])
        assert decoder.look(clip, MediaKind.VIDEO, tmp_path, LookPlan()).frames == 400


def test_the_child_has_a_session_of_its_own(tmp_path, clip):
    with open_decoder(tmp_path) as decoder:
        decoder.poster(clip, MediaKind.VIDEO, tmp_path / "poster.jpg", 320, 0.0)
        assert os.getsid(decoder.pid) == decoder.pid != os.getsid(0)


def test_a_closed_decoder_has_no_child(tmp_path, clip):
    decoder = open_decoder(tmp_path)
    decoder.poster(clip, MediaKind.VIDEO, tmp_path / "poster.jpg", 320, 0.0)
    pid = decoder.pid
    decoder.close()
    assert not is_alive(pid)


def test_the_child_dies_with_a_killed_parent(tmp_path, clip):
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from dam_pipeline.media.decoder import Decoder
        from dam_pipeline.records import MediaKind
        from dam_pipeline.settings import Settings
        decoder = Decoder(Settings(home=Path({str(tmp_path)!r})))
        decoder.poster(Path({str(clip)!r}), MediaKind.VIDEO, Path({str(tmp_path)!r}) / "p.jpg", 64)
        print(decoder.pid, flush=True)
        time.sleep(60)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline_s = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not is_alive(child)


def test_a_child_outlives_the_thread_that_asked_first(tmp_path, clip):
    """The kernel's parent-death signal is sent when the forking thread ends, not the process."""
    with open_decoder(tmp_path) as decoder:

        def ask() -> None:
            decoder.poster(clip, MediaKind.VIDEO, tmp_path / "poster.jpg", 320, 0.0)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        first = decoder.pid
        time.sleep(0.2)
        ask()
        assert decoder.pid == first


def test_threads_take_turns(tmp_path, clip):
    with open_decoder(tmp_path) as decoder:
        sizes = []

        def ask(px: int) -> None:
            sizes.append(decoder.poster(clip, MediaKind.VIDEO, tmp_path / f"{px}.jpg", px, 0.0)[0])

        threads = [threading.Thread(target=ask, args=(px,)) for px in (64, 128, 256, 512)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(sizes) == [64, 128, 256, 512]


def test_nothing_is_written_but_where_it_was_asked_for(tmp_path, clip):
    out_dir = tmp_path / "out"
    out_dir.mkdir()
    before = set(clip.parent.iterdir())
    with open_decoder(tmp_path) as decoder:
        seen = decoder.look(clip, MediaKind.VIDEO, out_dir, LookPlan())
    assert {path.name for path in out_dir.iterdir()} == {k.path for k in seen.keyframes}
    assert set(clip.parent.iterdir()) == before
    assert list(tmp_path.iterdir()) == [out_dir]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
