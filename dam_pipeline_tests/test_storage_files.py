"""What lies in DAM_HOME or in a shared storage: derived files, journal, graph, single files."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.errors import ConfigurationError, SchemaMismatch, StoreUnavailable
from dam_pipeline.graph.build import build_graph
from dam_pipeline.graph.read import graph_counts
from dam_pipeline.graph.versions import POINTER, current, graph_path, new_version
from dam_pipeline.records import Location, Media, MediaKind, Provenance, State, StoredOutcome
from dam_pipeline.settings import Settings
from dam_pipeline.stores import cache, library_files
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.stores.journal import Journal
from dam_pipeline.stores.library_files import (
    forget_library_file,
    keep_library_file,
    library_file,
)
from dam_pipeline.stores.objects import Objects
from dam_pipeline.stores.segments import Segments
from dam_pipeline.stores.shared_files import SharedFiles, open_derived
from dam_pipeline.tagging.vocabulary import (
    SHIPPED,
    VOCABULARY_FILE,
    open_vocabulary,
    share_vocabulary,
)
from dam_pipeline_tests.handmade import Clip, Handmade
from dam_pipeline_tests.s3_server import Bucket, ask_as

A, B = "aa" + "0" * 30, "bb" + "1" * 30
MADE_BY = Provenance("1", "", {}, "run-1", "2026-01-01T00:00:00+00:00", 0.5, {})
SHOTS = pa.table({"start_s": [0.0, 1.5], "end_s": [1.5, 4.0]})

Open = Callable[[str], DerivedFiles]


def outcome(media_id: str = A, rows: int = 2, **values: object) -> StoredOutcome:
    made = StoredOutcome(
        media_id=media_id,
        stage="shots",
        state=State.DONE,
        reason="",
        retryable=False,
        attempts=1,
        result={"shots": rows},
        rows=rows,
        data_version="v1",
        provenance=MADE_BY,
    )
    return replace(made, **values)


def pictures(folder: Path, count: int = 3, content: bytes = b"a picture") -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:04d}.jpg").write_bytes(content + bytes([number]))
    return folder


def worker(home: Path, address: str, **values: int) -> Settings:
    (home / "scratch").mkdir(parents=True, exist_ok=True)
    return Settings(home=home, storage_url=address, **values)


def shared(settings: Settings) -> SharedFiles:
    opened = open_derived(settings, lambda: settings.home / "scratch")
    assert isinstance(opened, SharedFiles)
    return opened


@pytest.fixture
def address(bucket: Bucket) -> str:
    return f"{bucket.uri}/a library/ü"


@pytest.fixture(params=["home", pytest.param("storage", marks=pytest.mark.s3)])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> DerivedFiles:
    """Derived files in a home, then in a storage. The same test runs on both."""
    if request.param == "home":
        return open_derived(Settings(home=tmp_path / "home"))
    return shared(worker(tmp_path / "home", request.getfixturevalue("address")))


class TestDerivedFiles:
    """The same test body over DAM_HOME and over a storage."""

    def test_an_outcome_is_read_as_it_was_written(self, files: DerivedFiles) -> None:
        files.write_outcome(outcome(), SHOTS)
        assert files.outcome(A, "shots") == outcome()  # by this process at once
        files.flush()
        assert files.outcome(A, "shots") == outcome()
        assert files.table(A, "shots").to_pydict() == SHOTS.to_pydict()
        assert files.has_table(A, "shots")

    def test_what_was_not_written_is_not_there(self, files: DerivedFiles) -> None:
        assert files.outcome(A, "shots") is None
        assert files.media(A) is None
        assert not files.has(A, "poster.jpg")
        assert not files.path(A, "poster.jpg").exists()
        assert files.names(A) == set()
        assert list(files.media_ids()) == []
        with pytest.raises(SchemaMismatch, match="Run `dam retry --stage shots"):
            files.table(A, "shots")

    def test_who_a_media_is_and_where_it_was_seen(self, files: DerivedFiles) -> None:
        media = Media(A, "reel-aaaa", MediaKind.VIDEO, 9, "reel.mp4", A)
        place = Location("file:///films/reel.mp4", A, 9, 1, "2026", "2026")
        files.write_media(media, [place])
        files.flush()
        assert files.media(A) == (media, [place])
        assert list(files.media_ids()) == [A]

    def test_media_are_listed_in_order(self, files: DerivedFiles) -> None:
        ids = [B, A, "ab" + "2" * 30, "ab" + "1" * 30]
        for media_id in ids:
            files.write_outcome(outcome(media_id), None)
        files.flush()
        assert list(files.media_ids()) == sorted(ids)

    def test_an_outcome_without_rows_takes_the_older_table_away(self, files: DerivedFiles) -> None:
        files.write_outcome(outcome(), SHOTS)
        files.flush()
        files.write_outcome(outcome(rows=0, state=State.EMPTY), None)
        assert not files.has_table(A, "shots")
        files.flush()
        assert files.names(A) == {"shots.json"}

    def test_pictures_are_taken_in_and_forgotten(self, files: DerivedFiles, tmp_path: Path) -> None:
        files.take_in(A, "keyframes-1", pictures(tmp_path / "made"))
        assert files.path(A, "keyframes-1/0002.jpg").read_bytes() == b"a picture\x02"
        files.flush()
        assert files.names(A) == {f"keyframes-1/000{number}.jpg" for number in range(3)}
        assert files.path(A, "keyframes-1/0002.jpg").read_bytes() == b"a picture\x02"
        files.forget(A, files.names(A))
        files.take_in(A, "keyframes-2", pictures(tmp_path / "again", 1))
        files.flush()
        assert files.names(A) == {"keyframes-2/0000.jpg"}

    def test_a_damaged_outcome_counts_as_none(self, files: DerivedFiles, tmp_path: Path) -> None:
        (tmp_path / "damaged").write_text('{"format": 1, "med')
        files.take_in(A, "shots.json", tmp_path / "damaged")
        files.flush()
        assert files.outcome(A, "shots") is None
        assert files.has(A, "shots.json")

    def test_no_name_leads_out_of_the_folder(self, files: DerivedFiles, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("mine")
        files.path(A, f"../../../../{secret.name}")
        assert secret.read_text() == "mine"


@pytest.mark.s3
class TestTwoWorkers:
    """Two homes on one storage."""

    @pytest.fixture
    def workers(self, address: str, tmp_path: Path) -> tuple[SharedFiles, SharedFiles]:
        return shared(worker(tmp_path / "one", address)), shared(worker(tmp_path / "two", address))

    def test_nothing_is_seen_before_it_is_stored(
        self, workers: tuple[SharedFiles, SharedFiles]
    ) -> None:
        one, two = workers
        one.write_outcome(outcome(), SHOTS)
        assert two.outcome(A, "shots") is None
        one.flush()
        two.bring([A])
        assert two.outcome(A, "shots") == outcome()

    def test_a_worker_sees_the_latest_when_it_looks_again(
        self, workers: tuple[SharedFiles, SharedFiles], tmp_path: Path
    ) -> None:
        one, two = workers
        one.write_outcome(outcome(), SHOTS)
        one.take_in(A, "keyframes-1", pictures(tmp_path / "made"))
        one.flush()
        two.bring([A], pictures=True)
        assert two.folder(A).joinpath("keyframes-1/0000.jpg").exists()
        one.write_outcome(outcome(rows=1, data_version="v2"), SHOTS.slice(1))
        one.forget(A, [name for name in one.names(A) if name.startswith("keyframes-1/")])
        one.flush()
        two.bring([A])
        assert two.outcome(A, "shots") == outcome(rows=1, data_version="v2")
        assert two.table(A, "shots").num_rows == 1
        assert two.names(A) == {"shots.json", "shots.parquet"}

    def test_only_what_changed_is_fetched(
        self, workers: tuple[SharedFiles, SharedFiles], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, two = workers
        one.write_outcome(outcome(), SHOTS)
        one.flush()
        two.bring([A])
        one.write_outcome(outcome(attempts=2), SHOTS)
        one.flush()
        fetched = []
        get = Objects.get
        monkeypatch.setattr(Objects, "get", lambda of, name: fetched.append(name) or get(of, name))
        two.bring([A])
        assert [name.rpartition("/")[2] for name in fetched] == ["shots.json"]

    def test_another_process_of_the_same_home_takes_no_unstored_file(
        self, address: str, tmp_path: Path
    ) -> None:
        settings = worker(tmp_path / "one", address)
        writer, reader = shared(settings), shared(settings)
        writer.write_outcome(outcome(), SHOTS)
        assert reader.outcome(A, "shots") is None
        assert not reader.folder(A).joinpath("shots.json").exists()
        writer.flush()
        reader.bring([A])
        assert reader.outcome(A, "shots") == outcome()

    def test_a_thread_stores_its_own_files_and_no_unfinished_ones_of_others(
        self, workers: tuple[SharedFiles, SharedFiles]
    ) -> None:
        one, two = workers
        one.write_outcome(outcome(B), SHOTS)
        other = threading.Thread(
            target=lambda: (one.write_outcome(outcome(A), SHOTS), one.flush()),
        )
        other.start()
        other.join()
        assert list(two.media_ids()) == [A]
        one.flush()
        assert list(two.media_ids()) == [A, B]

    def test_what_is_not_to_be_kept_is_not_stored_later(
        self, workers: tuple[SharedFiles, SharedFiles]
    ) -> None:
        one, two = workers
        one.write_outcome(outcome(), SHOTS)
        one.drop_unstored()
        assert one.outcome(A, "shots") is None
        one.write_outcome(outcome(B), None)
        one.flush()
        assert list(two.media_ids()) == [B]

    def test_segments_are_filled_from_the_storage(
        self, workers: tuple[SharedFiles, SharedFiles]
    ) -> None:
        one, two = workers
        for media_id in (A, B):
            one.write_outcome(outcome(media_id), SHOTS)
        one.flush()
        found = Segments(two).refresh("shots", {A: "stamp", B: "stamp"})
        assert {media_id: entry.rows for media_id, entry in found.entries.items()} == {A: 2, B: 2}


@pytest.mark.s3
class TestCache:
    """DAM_HOME as a cache of limited size."""

    def test_the_longest_unused_media_go_first_and_come_back(
        self, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache, "IN_USE_S", 0.0)
        files = shared(worker(tmp_path / "home", address, cache_bytes=250_000))
        ids = [f"{number:02x}" + "0" * 30 for number in range(5)]
        for at, media_id in enumerate(ids):
            files.take_in(media_id, "k", pictures(tmp_path / media_id, 1, bytes([at]) * 100_000))
            files.flush()
            if files.folder(media_id).exists():
                os.utime(files.folder(media_id), (time.time() - 1000 + at,) * 2)
        here = [media_id for media_id in ids if files.folder(media_id).exists()]
        assert here == ids[-2:]
        files.bring(ids[:1])
        assert files.path(ids[0], "k/0000.jpg").read_bytes() == bytes(100_000) + b"\0"

    def test_what_is_in_use_stays_though_there_is_too_much(
        self, address: str, tmp_path: Path
    ) -> None:
        files = shared(worker(tmp_path / "home", address, cache_bytes=1))
        for media_id in (A, B):
            files.write_outcome(outcome(media_id), SHOTS)
            files.flush()
            files.bring([media_id])
        assert files.folder(A).joinpath("shots.parquet").exists()

    def test_a_file_that_was_changed_here_is_fetched_again(
        self, address: str, tmp_path: Path
    ) -> None:
        files = shared(worker(tmp_path / "home", address))
        files.write_outcome(outcome(), SHOTS)
        files.flush()
        files.folder(A).joinpath("shots.json").write_text("{}")
        assert files.outcome(A, "shots") == outcome()

    def test_a_library_of_its_own_is_never_taken_for_a_cache(
        self, address: str, tmp_path: Path
    ) -> None:
        home = Settings(home=tmp_path / "home")
        open_derived(home).write_outcome(outcome(), SHOTS)
        with pytest.raises(ConfigurationError, match=r"holds the files of a library.*dam rebuild"):
            shared(worker(home.home, address))
        assert open_derived(home).outcome(A, "shots") == outcome()

    def test_a_cache_is_never_taken_for_a_library(self, address: str, tmp_path: Path) -> None:
        files = shared(worker(tmp_path / "home", address))
        files.write_outcome(outcome(), SHOTS)
        files.flush()
        for other in ("", f"{address}/other"):
            with pytest.raises(ConfigurationError, match="is a cache of s3://"):
                open_derived(Settings(home=tmp_path / "home", storage_url=other))

    def test_a_lost_home_costs_nothing(self, address: str, tmp_path: Path) -> None:
        files = shared(worker(tmp_path / "home", address))
        files.write_outcome(outcome(), SHOTS)
        files.flush()
        fresh = shared(worker(tmp_path / "fresh", address))
        assert fresh.outcome(A, "shots") == outcome()


@pytest.mark.s3
class TestStorageAway:
    """A storage that cannot be used says why, and nothing half stored is left."""

    @pytest.fixture
    def files(self, address: str, tmp_path: Path) -> SharedFiles:
        return shared(worker(tmp_path / "home", address))

    def shut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ask_as(monkeypatch, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"})

    def test_what_could_not_be_stored_is_not_here_either(
        self, files: SharedFiles, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files.write_outcome(outcome(), SHOTS)
        self.shut(monkeypatch)
        with pytest.raises(StoreUnavailable, match=r"cannot be reached.*goes on by itself"):
            files.flush()
        ask_as(monkeypatch, bucket.server.environment())
        assert files.outcome(A, "shots") is None
        files.flush()
        assert list(files.media_ids()) == []

    def test_work_waits_until_it_is_back(
        self, files: SharedFiles, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dam_pipeline.stores.shared_files.ASK_AGAIN_S", 0.0)
        self.shut(monkeypatch)
        files.bring([A])
        with pytest.raises(StoreUnavailable):
            files.check_room()
        with pytest.raises(StoreUnavailable):
            files.outcome(A, "shots")
        ask_as(monkeypatch, bucket.server.environment())
        files.check_room()
        assert files.outcome(A, "shots") is None

    @pytest.mark.parametrize(
        ("variables", "words"),
        [
            ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "credentials were refused"),
            ({"AWS_ACCESS_KEY_ID": "nobody"}, "credentials were refused"),
            ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "there are none"),
        ],
    )
    def test_refused_credentials_are_told(
        self,
        files: SharedFiles,
        monkeypatch: pytest.MonkeyPatch,
        variables: dict[str, str],
        words: str,
    ) -> None:
        ask_as(monkeypatch, variables)
        with pytest.raises(StoreUnavailable, match=words):
            files.outcome(A, "shots")

    def test_a_missing_bucket_is_told(self, bucket: Bucket, tmp_path: Path) -> None:
        files = shared(worker(tmp_path / "home", f"{bucket.uri}-none/x"))
        with pytest.raises(StoreUnavailable, match="There is no bucket"):
            files.outcome(A, "shots")

    @pytest.mark.usefixtures("as_guest")
    def test_denied_rights_are_named(self, files: SharedFiles, bucket: Bucket) -> None:
        with pytest.raises(StoreUnavailable, match=r"s3:ListBucket is denied.*s3:PutObject"):
            files.outcome(A, "shots")

    @pytest.mark.usefixtures("as_guest")
    def test_the_least_rights_are_enough(self, bucket: Bucket, address: str) -> None:
        prefix = address.removeprefix(f"{bucket.uri}/")
        rights = ("GetObject", "PutObject", "DeleteObject")
        everyone = {"Effect": "Allow", "Principal": "*"}
        arn = f"arn:aws:s3:::{bucket.name}"
        statements = [
            everyone | {"Action": [f"s3:{one}" for one in rights], "Resource": f"{arn}/{prefix}/*"},
            everyone | {"Action": "s3:ListBucket", "Resource": arn},
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=policy)
        Objects(address).check()
        assert list(Objects(address).list("")) == []


class TestJournal:
    """What people typed, in a file or as objects."""

    @pytest.fixture(params=["home", pytest.param("storage", marks=pytest.mark.s3)])
    def people(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Settings, Settings]:
        """The settings of two people: of one home, or of two on one storage."""
        if request.param == "home":
            return Settings(home=tmp_path / "home"), Settings(home=tmp_path / "home")
        address = request.getfixturevalue("address")
        return worker(tmp_path / "one", address), worker(tmp_path / "two", address)

    def test_entries_come_in_the_order_in_which_they_were_added(
        self, people: tuple[Settings, Settings]
    ) -> None:
        for number in range(6):
            Journal(people[number % 2], "tags").append({"number": number})
        for one in people:
            assert [entry["number"] for entry in Journal(one, "tags").entries()] == [*range(6)]
        assert list(Journal(people[0], "sources").entries()) == []

    def test_two_who_add_at_once_lose_nothing(self, people: tuple[Settings, Settings]) -> None:
        def add(settings: Settings, who: int) -> None:
            for number in range(10):
                Journal(settings, "tags").append({"who": who, "number": number})

        threads = [threading.Thread(target=add, args=(one, n)) for n, one in enumerate(people)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [(entry["who"], entry["number"]) for entry in Journal(people[0], "tags").entries()]
        assert sorted(found) == [(who, number) for who in range(2) for number in range(10)]
        for who in range(2):
            assert [number for one, number in found if one == who] == [*range(10)]


@pytest.mark.s3
class TestJournalInStorage:
    """What only a journal in a storage has to care for."""

    def test_the_last_word_counts_though_clocks_differ(
        self, address: str, bucket: Bucket, tmp_path: Path
    ) -> None:
        settings = worker(tmp_path / "home", address)
        prefix = address.removeprefix(f"{bucket.uri}/")
        ahead = f"{prefix}/journal/tags/29991231T235959.000000Z-aa.json"
        bucket.put(ahead, b'{"word": "first, by a clock that is ahead"}')
        Journal(settings, "tags").append({"word": "last"})
        assert [entry["word"] for entry in Journal(settings, "tags").entries()][-1] == "last"

    def test_the_journal_of_a_home_that_was_copied_comes_first(
        self, address: str, bucket: Bucket, tmp_path: Path
    ) -> None:
        home = Settings(home=tmp_path / "old")
        Journal(home, "tags").append({"word": "old"})
        prefix = address.removeprefix(f"{bucket.uri}/")
        bucket.put(f"{prefix}/journal/tags.jsonl", tmp_path / "old" / "journal" / "tags.jsonl")
        settings = worker(tmp_path / "home", address)
        Journal(settings, "tags").append({"word": "new"})
        assert [entry["word"] for entry in Journal(settings, "tags").entries()] == ["old", "new"]

    def test_an_entry_is_fetched_once(
        self, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = worker(tmp_path / "home", address)
        for number in range(3):
            Journal(settings, "tags").append({"number": number})
        list(Journal(settings, "tags").entries())
        asked = []
        get = Objects.get
        monkeypatch.setattr(Objects, "get", lambda of, name: asked.append(name) or get(of, name))
        assert len(list(Journal(settings, "tags").entries())) == 3
        assert asked == ["journal/tags.jsonl"]

    def test_a_damaged_entry_is_named(self, address: str, bucket: Bucket, tmp_path: Path) -> None:
        prefix = address.removeprefix(f"{bucket.uri}/")
        bucket.put(f"{prefix}/journal/tags/20260101T000000.000000Z-aa.json", b'{"wor')
        with pytest.raises(SchemaMismatch, match=r"20260101T000000\.000000Z-aa\.json is damaged"):
            list(Journal(worker(tmp_path / "home", address), "tags").entries())


@pytest.mark.s3
class TestGraphInStorage:
    """One writer builds and publishes, all workers read."""

    @pytest.fixture
    def library(self, address: str, tmp_path: Path) -> Iterator[Handmade]:
        settings = worker(tmp_path / "one", address)
        with open_catalogue(settings.home) as catalogue:
            made = Handmade(settings.home, catalogue)
            made.settings, made.derived = settings, shared(settings)
            yield made

    def build(self, library: Handmade, settings: Settings | None = None) -> str:
        library.derived.flush()
        own = settings or library.settings
        report = build_graph(own, library.catalogue, shared(own), "run-1", {})
        return report.mode

    def test_another_worker_reads_it_and_goes_on_from_it(
        self, library: Handmade, tmp_path: Path
    ) -> None:
        other = worker(tmp_path / "two", library.settings.storage_url)
        assert current(other) is None
        library.add(Clip("one"))
        assert self.build(library) == "full (the first)"
        assert graph_counts(other).nodes["media"] == 1
        library.add(Clip("two"))
        assert self.build(library, other) == "incremental"
        assert graph_counts(library.settings).nodes["media"] == 2

    def test_two_writers_at_once_leave_one_whole_graph(
        self, library: Handmade, tmp_path: Path
    ) -> None:
        library.add(Clip("one"))
        other = worker(tmp_path / "two", library.settings.storage_url)
        with new_version(library.settings) as first:
            first.write_bytes(b"first")
            with new_version(other) as second:
                second.write_bytes(b"second")
            assert graph_path(library.settings).read_bytes() == b"second"
        for settings in (library.settings, other):
            assert graph_path(settings).read_bytes() == b"first"

    def test_old_versions_go_and_the_one_that_is_named_never_does(
        self, library: Handmade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        objects = Objects(library.settings.storage_url)
        for number in range(3):
            with new_version(library.settings) as path:
                path.write_bytes(bytes([number]))
        names = [one.name for one in objects.list("graph/graph-")]
        assert len(names) == 3  # somebody may be fetching one
        monkeypatch.setattr("dam_pipeline.graph.versions.STORED_FOR_S", -10.0)
        with new_version(library.settings) as path:
            path.write_bytes(b"last")
        (left,) = objects.list("graph/graph-")
        assert objects.get(f"graph/{POINTER}")[0].decode().strip() == left.name.split("/")[1]
        assert graph_path(worker(tmp_path / "two", objects.address)).read_bytes() == b"last"

    def test_a_writer_that_fails_publishes_nothing(self, library: Handmade) -> None:
        with new_version(library.settings) as path:
            path.write_bytes(b"good")
        with pytest.raises(RuntimeError), new_version(library.settings) as path:
            path.write_bytes(b"half")
            raise RuntimeError
        assert graph_path(library.settings).read_bytes() == b"good"
        assert len(list(Objects(library.settings.storage_url).list("graph/graph-"))) == 1


@pytest.mark.s3
class TestLibraryFiles:
    """Single files that people make: the vocabulary, what tags are calibrated by."""

    @pytest.fixture
    def workers(
        self, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> tuple[Settings, Settings]:
        monkeypatch.setattr(library_files, "LOOK_AGAIN_S", 0.0)
        return worker(tmp_path / "one", address), worker(tmp_path / "two", address)

    def test_one_keeps_a_file_and_all_read_it(
        self, workers: tuple[Settings, Settings], tmp_path: Path
    ) -> None:
        one, two = workers
        made = tmp_path / "made"
        made.write_text("first")
        assert library_file(two, "calibration/x.npz") is None
        keep_library_file(one, "calibration/x.npz", made)
        assert library_file(two, "calibration/x.npz").read_text() == "first"
        made.write_text("other")
        keep_library_file(two, "calibration/x.npz", made)
        assert library_file(one, "calibration/x.npz").read_text() == "other"
        forget_library_file(one, "calibration/x.npz")
        assert library_file(two, "calibration/x.npz") is None

    def test_an_edited_vocabulary_counts_once_it_is_shared(
        self, workers: tuple[Settings, Settings]
    ) -> None:
        one, two = workers
        with pytest.raises(ConfigurationError, match="dam tag vocabulary --edit"):
            share_vocabulary(one)
        own = one.home / VOCABULARY_FILE
        own.write_text(SHIPPED.read_text() + '\n[terms.kestrel]\nen = ["kestrel"]\n')
        assert open_vocabulary(one).find("kestrel") is None
        share_vocabulary(one)
        assert open_vocabulary(two).find("kestrel").id == "kestrel"

    def test_a_vocabulary_with_a_mistake_is_not_shared(
        self, workers: tuple[Settings, Settings]
    ) -> None:
        one, two = workers
        (one.home / VOCABULARY_FILE).write_text("[terms.x]\nparent = 'nothing'\n")
        with pytest.raises(ConfigurationError):
            share_vocabulary(one)
        assert library_file(two, VOCABULARY_FILE) is None

    def test_the_copy_of_before_counts_while_the_storage_is_away(
        self, workers: tuple[Settings, Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = tmp_path / "made"
        made.write_text("kept")
        keep_library_file(workers[0], "x", made)
        ask_as(monkeypatch, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
        assert library_file(workers[0], "x").read_text() == "kept"


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="storage_url"):
        Settings(home=tmp_path, storage_url="https://example.org/bucket")
