"""The vector stores: one body of tests over each; what is LanceDB's alone stands at the end."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dam_pipeline.errors import (
    ConfigurationError,
    SchemaMismatch,
    SpaceMismatch,
    StoreUnavailable,
)
from dam_pipeline.records import Space
from dam_pipeline.settings import Settings
from dam_pipeline.stores.vectors import (
    WORD_ROWS,
    WORDS,
    VectorStore,
    open_vector_store,
    vector_rows,
)
from dam_pipeline_tests.handmade import axis, between
from dam_pipeline_tests.weaviate_server import own_prefix

SPACE = Space("model@0123456789ab/é B", "image_text", 8)
OTHER = Space("other@1", "image_text", 8)
SENTENCE = Space("sentences@1", "sentence", 8)
FACE = Space("model@0123456789ab/é B", "face", 4)
CLOSE = 0.003  # Weaviate sets vectors that much apart


@pytest.fixture(params=["lancedb", pytest.param("weaviate", marks=pytest.mark.weaviate)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a store that is empty at first."""
    if request.param == "lancedb":
        yield Settings(home=tmp_path)
        return
    server = request.getfixturevalue("weaviate_server")
    settings = Settings(home=tmp_path, weaviate_prefix=own_prefix(), **server)
    yield settings
    store = open_vector_store(settings)
    store.drop()
    store.close()


@pytest.fixture
def open_store(settings: Settings) -> Iterator[Callable[[], VectorStore]]:
    """Opens the same store as often as it is called."""
    with ExitStack() as opened:

        def open_one() -> VectorStore:
            return opened.enter_context(closing(open_vector_store(settings)))

        yield open_one


@pytest.fixture
def store(open_store: Callable[[], VectorStore]) -> VectorStore:
    return open_store()


def vectors(media_id: str, *rows: np.ndarray, first: int = 0) -> pa.Table:
    """Rows of one media, item 0 standing for [0, 5) s, item 1 for [5, 10) s …"""
    return pa.Table.from_pylist(
        [
            {
                "media_id": media_id,
                "item": at,
                "time_s": 5.0 * at + 2,
                "start_s": 5.0 * at,
                "end_s": 5.0 * at + 5,
                "vector": row,
            }
            for at, row in enumerate(rows, start=first)
        ],
        vector_rows(len(rows[0])),
    )


def words(media_id: str, *texts: str) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "media_id": media_id,
                "item": at,
                "start_s": float(at),
                "end_s": at + 1.0,
                "text": text,
                "language": "en",
            }
            for at, text in enumerate(texts)
        ],
        WORD_ROWS,
    )


def found(store: VectorStore, vector: np.ndarray, k: int = 10, media=None, space=SPACE):
    return [(m.media_id, m.item) for m in store.nearest(space, vector, k, media)]


def heard(store: VectorStore, text: str, media=None) -> set[tuple[str, int]]:
    return {(m.media_id, m.item) for m in store.match_words(text, 10, media)}


def test_nearest_gives_the_best_first_with_its_cosine_and_times(store: VectorStore) -> None:
    store.put(SPACE, ["a"], vectors("a", axis(0), between(0, 1, 0.8)))
    first, second = store.nearest(SPACE, axis(0), 2)
    assert (first.media_id, first.item, first.time_s) == ("a", 0, 2.0)
    assert first.score == pytest.approx(1.0, abs=CLOSE)
    assert (second.start_s, second.end_s) == (5.0, 10.0)
    assert second.score == pytest.approx(0.8, abs=CLOSE)


def test_an_empty_store_answers_with_nothing(store: VectorStore) -> None:
    assert store.nearest(SPACE, axis(0), 5) == []
    assert store.match_words("word", 5) == []
    assert store.counts() == {}
    assert store.spaces() == []
    assert store.media_in(SPACE) == set()
    store.remove(["a"])
    store.optimise()
    store.drop()


def test_no_more_than_k_rows_come_back(store: VectorStore) -> None:
    store.put(SPACE, ["a"], vectors("a", *[axis(0)] * 5))
    assert len(store.nearest(SPACE, axis(0), 3)) == 3


def test_putting_again_replaces_the_rows_of_that_media_alone(store: VectorStore) -> None:
    store.put(
        SPACE, ["a", "b"], pa.concat_tables([vectors("a", axis(0), axis(1)), vectors("b", axis(2))])
    )
    store.put(SPACE, ["a"], vectors("a", axis(3)))
    assert store.counts() == {SPACE.name: 2}
    assert found(store, axis(3), 1) == [("a", 0)]
    assert found(store, axis(2), 1) == [("b", 0)]
    assert store.nearest(SPACE, axis(1), 1)[0].score == pytest.approx(0.0, abs=CLOSE)


def test_putting_the_same_twice_changes_nothing(store: VectorStore) -> None:
    for _ in range(2):
        store.put(SPACE, ["a"], vectors("a", axis(0), axis(1)))
        store.put_words(["a"], words("a", "one", "two"))
    assert store.counts() == {SPACE.name: 2, WORDS: 2}


def test_media_without_rows_lose_what_they_had(store: VectorStore) -> None:
    store.put(SPACE, ["a", "b"], pa.concat_tables([vectors("a", axis(0)), vectors("b", axis(0))]))
    store.put(SPACE, ["a", "b"], vectors("b", axis(0)))
    store.put_words(["a"], words("a", "gone soon"))
    store.put_words(["a"], WORD_ROWS.empty_table())
    assert found(store, axis(0)) == [("b", 0)]
    assert heard(store, "gone") == set()


def test_spaces_never_mix_even_with_one_name_for_pictures_and_faces(store: VectorStore) -> None:
    store.put(SPACE, ["a"], vectors("a", axis(0)))
    store.put(OTHER, ["b"], vectors("b", axis(0)))
    store.put(FACE, ["c"], vectors("c", axis(0, 4)))
    assert found(store, axis(0)) == [("a", 0)]
    assert found(store, axis(0), space=OTHER) == [("b", 0)]
    assert found(store, axis(0, 4), space=FACE) == [("c", 0)]
    assert store.spaces() == [FACE, SPACE, OTHER]
    assert store.media_in(OTHER) == {"b"}


def test_a_vector_of_another_dimension_is_refused(store: VectorStore) -> None:
    with pytest.raises(SpaceMismatch, match=r"4 numbers.*8.*dam retry --stale"):
        store.nearest(SPACE, axis(0, 4), 5)
    with pytest.raises(SpaceMismatch):
        store.put(SPACE, ["a"], vectors("a", axis(0, 4)))
    assert store.counts() == {}


def test_rows_of_media_that_are_not_named_are_refused(store: VectorStore) -> None:
    with pytest.raises(SchemaMismatch, match="belong to b"):
        store.put(SPACE, ["a"], vectors("b", axis(0)))
    with pytest.raises(SchemaMismatch, match="columns"):
        store.put_words(["a"], words("a", "x").drop_columns(["text"]))
    with pytest.raises(SchemaMismatch, match="twice"):
        store.put(SPACE, ["a"], pa.concat_tables([vectors("a", axis(0))] * 2))


@pytest.mark.parametrize("k", [1, 5])
def test_a_filter_comes_before_the_nearest_are_chosen(store: VectorStore, k: int) -> None:
    store.put(SPACE, ["a"], vectors("a", *[axis(0)] * 9))
    store.put(SPACE, ["b"], vectors("b", between(0, 1, 0.5)))
    assert found(store, axis(0), k, {"b", "nobody"}) == [("b", 0)]
    assert found(store, axis(0), k, set()) == []


def test_a_filter_of_thousands_of_media_works(store: VectorStore) -> None:
    store.put(SPACE, ["a", "b"], pa.concat_tables([vectors("a", axis(0)), vectors("b", axis(0))]))
    store.put_words(["a", "b"], pa.concat_tables([words("a", "hello"), words("b", "hello")]))
    many = {f"{number:032x}" for number in range(5000)} | {"a"}
    assert found(store, axis(0), 5, many) == [("a", 0)]
    assert heard(store, "hello", many) == {("a", 0)}


def test_words_match_when_all_of_them_are_in_one_segment(store: VectorStore) -> None:
    store.put_words(["a"], words("a", "the quick brown foxes were running", "a lazy dog"))
    assert heard(store, "quick running") == {("a", 0)}
    assert heard(store, "quick dog") == set()
    assert heard(store, "zebra") == set()


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("fox run", "The foxes were RUNNING."),
        ("cafe", "in a Café"),
        ("CAFÉ", "in a cafe"),
        ("lauft", "der Fuchs läuft"),
        ("日本語", "日本語のテキストです"),
        ("мир", "Привет мир"),
        ("state of the art", "state-of-the-art"),
        ("don't", "they don't know"),
    ],
)
def test_words_match_in_other_forms_and_scripts(store: VectorStore, query: str, text: str) -> None:
    store.put_words(["a"], words("a", text, "something else"))
    assert heard(store, query) == {("a", 0)}


@pytest.mark.parametrize(
    ("query", "found_in"),
    [
        ('"running foxes"', {1}),
        ('"foxes were"', {0}),
        ("“Running Foxes”", {1}),
        ('"running"', {0, 1}),
        ('"run"', set()),
        ('"cafe au lait"', {2}),
        ('"lait au cafe"', set()),
        ('"state of the art"', {3}),
        ('fox "were running"', {0}),
        ('dog "were running"', set()),
        ('"quick" "running"', {0}),
    ],
)
def test_what_stands_in_quotes_is_there_word_by_word(
    store: VectorStore, query: str, found_in: set[int]
) -> None:
    texts = ("quick foxes were running", "running foxes", "Café au lait", "state-of-the-art")
    store.put_words(["a"], words("a", *texts))
    assert heard(store, query) == {("a", item) for item in found_in}


def test_a_phrase_is_found_among_many_that_hold_only_its_stems(store: VectorStore) -> None:
    others = ["the fox runs"] * 30
    store.put_words(["a"], words("a", *others, "the foxes run away from here tonight"))
    assert heard(store, '"foxes run"') == {("a", 30)}


@pytest.mark.parametrize(
    "query", ['""', '"', '" "', "", "   ", "!?", "'", '"; DROP TABLE words; --', "*", "🎬"]
)
def test_odd_queries_find_nothing_and_break_nothing(store: VectorStore, query: str) -> None:
    store.put_words(["a"], words("a", "plain words"))
    assert heard(store, query) == set()
    assert heard(store, "plain") == {("a", 0)}


def test_words_written_after_an_optimise_are_found_too(store: VectorStore) -> None:
    store.put_words(["a"], words("a", "first words"))
    store.optimise()
    store.put_words(["b"], words("b", "second words"))
    assert heard(store, "words") == {("a", 0), ("b", 0)}
    store.put_words(["a"], words("a", "changed"))
    assert heard(store, "first") == set()
    assert heard(store, "words", {"b"}) == {("b", 0)}


def test_a_word_match_carries_its_text_and_times(store: VectorStore) -> None:
    store.put_words(["a"], words("a", "nothing here", "say cheese now"))
    (match,) = store.match_words("cheese", 5)
    assert (match.text, match.start_s, match.end_s) == ("say cheese now", 1.0, 2.0)
    assert match.score > 0


def spoken(media_id: str, *rows: tuple[str, np.ndarray], first: int = 0) -> pa.Table:
    """Rows of what was said, with what it means."""
    plain = vectors(media_id, *(vector for _, vector in rows), first=first)
    return plain.append_column("text", pa.array([text for text, _ in rows], pa.string()))


@pytest.fixture
def said(store: VectorStore) -> VectorStore:
    """What four sentences say and mean; of the axes 0 is the sea and 1 is bread."""
    sentences = [
        ("the ship sails at dawn", between(0, 1, 0.9)),
        ("waves and nothing else", between(0, 2, 0.8)),
        ("we bake at dawn", between(1, 0, 0.99)),
        ("the ships come home", between(0, 3, 0.5)),
    ]
    store.put(SENTENCE, ["a"], spoken("a", *sentences))
    return store


def both(store: VectorStore, text: str, k: int = 10, media=None) -> list[int]:
    return [match.item for match in store.hybrid(SENTENCE, axis(0), text, k, media)]


def test_hybrid_puts_first_what_is_near_and_holds_the_words(said: VectorStore) -> None:
    # By nearness 0, 1, 3, 2; "home" is in 3 alone, the ship in 0 and 3, the shorter one first.
    assert both(said, "home") == [3, 0, 1, 2]
    assert both(said, "ship dawn") == [0, 1, 3, 2]
    assert both(said, "bake", 1) == [2]
    (best,) = said.hybrid(SENTENCE, axis(0), "home", 1)
    assert (best.text, best.start_s, best.media_id) == ("the ships come home", 15.0, "a")


@pytest.mark.parametrize("text", ["", "!?", "zebra", '"'])
def test_hybrid_without_words_that_are_there_is_the_order_of_nearness(
    said: VectorStore, text: str
) -> None:
    assert both(said, text) == [0, 1, 3, 2]


def test_hybrid_looks_among_the_given_media_alone(said: VectorStore) -> None:
    said.put(SENTENCE, ["b"], spoken("b", ("home", axis(0))))
    assert [m.media_id for m in said.hybrid(SENTENCE, axis(0), "home", 1)] == ["b"]
    assert both(said, "home", 10, {"a"}) == [3, 0, 1, 2]
    assert both(said, "home", 10, set()) == []


def test_hybrid_in_a_space_without_texts_is_the_order_of_nearness(store: VectorStore) -> None:
    store.put(SPACE, ["a"], vectors("a", axis(1), axis(0)))
    assert [m.item for m in store.hybrid(SPACE, axis(0), "home", 5)] == [1, 0]
    assert store.hybrid(OTHER, axis(0), "home", 5) == []
    with pytest.raises(SpaceMismatch):
        store.hybrid(SPACE, axis(0, 4), "home", 5)


def test_texts_may_come_to_a_space_that_had_none(store: VectorStore) -> None:
    store.put(SENTENCE, ["a"], vectors("a", axis(0)))
    store.put(SENTENCE, ["b"], spoken("b", ("come home", axis(1))))
    store.put(SENTENCE, ["c"], vectors("c", axis(2)))
    best = store.hybrid(SENTENCE, axis(1), "home", 1)
    assert [(m.media_id, m.text) for m in best] == [("b", "come home")]
    assert {m.text for m in store.hybrid(SENTENCE, axis(1), "", 3)} == {"come home", None}


def _put_state(store: VectorStore, state: int, count: int = 60) -> None:
    """Rows of one media that all say which state of it they belong to."""
    rows = vectors("a", *[between(0, 1 + item % 7, 0.9) for item in range(count)])
    times = pa.array([float(state)] * count)
    store.put(SPACE, ["a"], rows.set_column(2, "time_s", times))
    store.put_words(["a"], words("a", *[f"state {state}"] * count))


def _put_states_for_ever(settings: Settings) -> None:
    store = open_vector_store(settings)
    state = 1
    while True:
        _put_state(store, state)
        state += 1


def test_an_answer_never_mixes_what_a_media_was_with_what_it_is(
    open_store: Callable[[], VectorStore], settings: Settings
) -> None:
    store = open_store()
    _put_state(store, 0)
    writer = multiprocessing.get_context("spawn").Process(
        target=_put_states_for_ever, args=(settings,)
    )
    writer.start()
    seen = set()
    until = time.monotonic() + 30
    while len(seen) < 5 and time.monotonic() < until:
        states = {match.time_s for match in store.nearest(SPACE, axis(0), 200)}
        texts = {match.text for match in store.match_words("state", 200)}
        assert len(states) <= 1
        assert len(texts) <= 1
        seen |= states
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert len(seen) >= 5
    _put_state(store, 10_000, 3)
    assert store.counts() == {SPACE.name: 3, WORDS: 3}


def test_removed_media_are_gone_everywhere(store: VectorStore) -> None:
    store.put(SPACE, ["a", "b"], pa.concat_tables([vectors("a", axis(0)), vectors("b", axis(0))]))
    store.put(FACE, ["a"], vectors("a", axis(0, 4)))
    store.put_words(["a"], words("a", "hello"))
    store.remove(["a"])
    assert {name: count for name, count in store.counts().items() if count} == {SPACE.name: 1}
    assert found(store, axis(0)) == [("b", 0)]


def test_a_dropped_space_is_gone_alone_and_can_be_filled_again(
    store: VectorStore, open_store: Callable[[], VectorStore]
) -> None:
    store.put(SPACE, ["a"], vectors("a", axis(0)))
    store.put(OTHER, ["a"], vectors("a", axis(1)))
    store.put_words(["a"], words("a", "hello"))
    store.drop_space(SPACE)
    store.drop_space(SPACE)
    assert store.spaces() == open_store().spaces() == [OTHER]
    assert found(store, axis(0)) == []
    assert store.media_in(SPACE) == set()
    assert store.counts() == {OTHER.name: 1, WORDS: 1}
    store.put(SPACE, ["b"], vectors("b", axis(0)))
    assert found(store, axis(0)) == [("b", 0)]


def test_media_ids_with_quotes_do_no_harm(store: VectorStore) -> None:
    odd = "x'; --"
    store.put(SPACE, [odd, "b"], pa.concat_tables([vectors(odd, axis(0)), vectors("b", axis(1))]))
    assert found(store, axis(0), 5, {odd}) == [(odd, 0)]
    store.remove([odd])
    assert found(store, axis(1)) == [("b", 0)]


def test_another_opening_sees_within_a_second_what_was_written_and_dropped(
    open_store: Callable[[], VectorStore],
) -> None:
    writer, reader = open_store(), open_store()
    writer.put(SPACE, ["a"], vectors("a", axis(0)))
    assert found(reader, axis(0)) == [("a", 0)]
    writer.put(SPACE, ["a"], vectors("a", axis(1)))
    time.sleep(1.1)
    assert reader.nearest(SPACE, axis(1), 1)[0].score == pytest.approx(1.0, abs=CLOSE)
    writer.drop()
    time.sleep(1.1)
    assert found(reader, axis(0)) == []
    writer.put(SPACE, ["b"], vectors("b", axis(0)))
    assert found(reader, axis(0)) == [("b", 0)]


def test_a_write_stands_on_what_others_wrote_a_moment_ago(
    open_store: Callable[[], VectorStore],
) -> None:
    one, other = open_store(), open_store()
    for turn in range(6):
        writer = (one, other)[turn % 2]
        writer.put(SPACE, ["a"], vectors("a", axis(turn), axis(turn)))
        assert writer.counts() == {SPACE.name: 2}
    one.drop()
    other.put(SPACE, ["c"], vectors("c", axis(0)))
    assert one.counts() == {SPACE.name: 1}
    assert one.media_in(SPACE) == {"c"}


def _write_many(settings: Settings, writer: int, rounds: int) -> None:
    store = open_vector_store(settings)
    for number in range(rounds):
        own = f"own-{writer}-{number % 4}"
        rows = pa.concat_tables(
            [vectors("shared", axis(writer), axis(writer)), vectors(own, axis(0))]
        )
        store.put(SPACE, ["shared", own], rows)
        store.put_words([own], words(own, "spoken words"))
        if number % 5 == 4:
            store.optimise()


def test_two_processes_writing_at_once_lose_and_double_nothing(
    open_store: Callable[[], VectorStore], settings: Settings
) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write_many, args=(settings, n, 20)) for n in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    store = open_store()
    assert store.counts() == {SPACE.name: 2 + 8, WORDS: 8}
    if settings.vector_store == "lancedb":  # of writers to a server either may win, row by row
        assert len({m.score > 0.5 for m in store.nearest(SPACE, axis(1), 10, {"shared"})}) == 1


def _write_for_ever(settings: Settings, written: Event) -> None:
    store = open_vector_store(settings)
    number = 0
    while True:
        store.put(
            SPACE,
            ["a", "b"],
            pa.concat_tables(
                [vectors("a", *[axis(number % 8)] * 50), vectors("b", *[axis(number % 8)] * 50)]
            ),
        )
        written.set()
        number += 1


def _wait_until_at_rest(store: VectorStore) -> None:
    """Until a server is through with what it was asked by a process that is no more."""
    before = None
    while before != (now := store.counts()):
        before = now
        time.sleep(1)


@pytest.mark.parametrize("after_s", [0.02, 0.17])
def test_a_killed_writer_leaves_nothing_that_putting_again_does_not_mend(
    open_store: Callable[[], VectorStore], settings: Settings, after_s: float
) -> None:
    store = open_store()
    store.put(SPACE, ["other"], vectors("other", axis(7)))
    spawn = multiprocessing.get_context("spawn")
    written = spawn.Event()
    writer = spawn.Process(target=_write_for_ever, args=(settings, written))
    writer.start()
    assert written.wait(120)
    time.sleep(after_s)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    _wait_until_at_rest(store)
    seen = found(store, axis(0), 300)
    assert len(seen) == len(set(seen)) == 101
    rows = pa.concat_tables([vectors("a", axis(0)), vectors("b", axis(1))])
    store.put(SPACE, ["a", "b"], rows)
    assert store.counts() == {SPACE.name: 3}
    assert found(store, axis(0), 1) == [("a", 0)]


def test_an_unknown_store_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'chroma'.*lancedb"):
        open_vector_store(Settings(home=tmp_path), "chroma")


def test_lancedb_says_when_its_folder_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "lancedb").write_text("a file where the folder belongs")
    with pytest.raises(StoreUnavailable, match=r"lancedb.*dam rebuild"):
        open_vector_store(Settings(home=tmp_path))


def test_lancedb_says_when_a_table_is_damaged(tmp_path: Path) -> None:
    store = open_vector_store(Settings(home=tmp_path))
    store.put(SPACE, ["a"], vectors("a", axis(0)))
    for manifest in (tmp_path / "lancedb").glob("*/_versions/*"):
        manifest.write_bytes(b"damaged")
    fresh = open_vector_store(Settings(home=tmp_path))
    with pytest.raises(StoreUnavailable, match="dam rebuild"):
        fresh.nearest(SPACE, axis(0), 1)


@pytest.mark.slow
def test_lancedb_above_twenty_thousand_rows_finds_nearly_all_that_a_scan_finds(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(7)
    centres = random.normal(size=(400, 64))
    rows = centres[random.integers(0, 400, 24_000)] + random.normal(size=(24_000, 64))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    space = Space("large", "image_text", 64)
    store = open_vector_store(Settings(home=tmp_path))
    owners = [f"m{at // 20:04d}" for at in range(24_000)]
    items = [at % 20 for at in range(24_000)]
    times = [0.0] * 24_000
    flat = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 64)
    table = pa.table(
        [owners, items, times, times, times, flat], schema=None, names=vector_rows(64).names
    )
    store.put(space, set(owners), table)
    store.optimise()
    recalls = []
    for query in random.choice(24_000, 20, replace=False):
        exact = np.argsort(-(rows @ rows[query]))[:20]
        answer = {(m.media_id, m.item) for m in store.nearest(space, rows[query], 20)}
        recalls.append(len(answer & {(owners[at], items[at]) for at in exact}) / 20)
    assert np.mean(recalls) >= 0.95
    few = {"m0003", "m0007"}
    assert len(store.nearest(space, rows[0], 40, few)) == 40
    store.put(space, ["new"], pa.concat_tables([vectors("new", rows[5])]))
    assert store.nearest(space, rows[5], 2)[0].score == pytest.approx(1.0, abs=1e-4)
    assert {m.media_id for m in store.nearest(space, rows[5], 2)} == {"new", "m0000"}
