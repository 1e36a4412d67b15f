"""The decision on a look, as pure functions: no file, no catalogue, only what is known and listed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from dam_pipeline.identity import WHOLE_UP_TO_BYTES
from dam_pipeline.records import Location, Media, MediaKind
from dam_pipeline.sources.content import Content, address_identity, collision_identity
from dam_pipeline.sources.decision import Decision, Known, Reading, decide, sidecar_version
from dam_pipeline.sources.listing import Listed, Listing, Sidecar
from dam_pipeline.sources.scan import LookState, Pending, Rules, what_to_read

NOW_S = 1_000_000.0
OLD_NS = int((NOW_S - 3600) * 1e9)
ROOT = "file:///films"
RULES = Rules(settle_s=5.0, disappearance_share=0.5)
LARGE = WHOLE_UP_TO_BYTES + 1
NOTHING = Known()


def listed(name: str, size_bytes: int = 10, mtime_ns: int = OLD_NS, **more) -> Listed:
    return Listed(f"{ROOT}/{name}", size_bytes, mtime_ns, **more)


def place(name: str, media_id: str, size_bytes: int = 10, **more) -> Location:
    values = {"mtime_ns": OLD_NS, "first_seen": "2026-01-01"} | more
    return Location(uri=f"{ROOT}/{name}", media_id=media_id, size_bytes=size_bytes, **values)


def media(media_id: str, **more) -> Media:
    values = {"asset_id": media_id} | more
    return Media(media_id, f"key-{media_id}", MediaKind.VIDEO, 10, "a.mp4", **values)


def listing(*files: Listed, **more) -> Listing:
    return Listing(ROOT, files, **more)


def seen(files: Sequence[Listed], since_s: float = NOW_S - 60) -> LookState:
    return LookState({f.uri: Pending(f.size_bytes, f.mtime_ns, since_s) for f in files})


def knowing(*places: Location, **more) -> Known:
    present: dict[str, tuple[Location, ...]] = {}
    for one in places:
        if one.missing_since is None:
            present[one.media_id] = (*present.get(one.media_id, ()), one)
    return Known(
        places={one.uri: one for one in places if one.uri.startswith(ROOT)},
        media={one.media_id: media(one.media_id) for one in places} | more.pop("media", {}),
        present=present,
        **more,
    )


def decision(
    files: Sequence[Listed],
    contents: Mapping[str, str | Content | None],
    known: Known = NOTHING,
    state: LookState | None = None,
    rules: Rules = RULES,
    whole: Mapping[str, str | None] | None = None,
    **more,
) -> Decision:
    """A look at settled files; `contents` are media ids by name."""
    triage = what_to_read(known.places, listing(*files, **more), state or seen(files), NOW_S, rules)
    read = {
        f"{ROOT}/{name}": Content(value) if isinstance(value, str) else value
        for name, value in contents.items()
    }
    hashes = {f"{ROOT}/{name}": value for name, value in (whole or {}).items()}
    return decide(triage, Reading(read, hashes), known, NOW_S, rules.settle_s)


def found_names(found: Sequence) -> list[str]:
    return [one.file.uri.removeprefix(f"{ROOT}/") for one in found]


def names(files: Sequence) -> list[str]:
    return [one.uri.removeprefix(f"{ROOT}/") for one in files]


# Settling


def test_a_file_seen_for_the_first_time_waits() -> None:
    file = listed("a.mp4")
    result = decision([file], {}, state=LookState())
    assert names(result.waiting) == ["a.mp4"]
    assert result.state.pending[file.uri] == Pending(10, OLD_NS, NOW_S)


def test_a_file_that_looked_the_same_before_is_read() -> None:
    triage = what_to_read({}, listing(listed("a.mp4")), seen([listed("a.mp4")]), NOW_S, RULES)
    assert names(triage.to_read) == ["a.mp4"]


def test_a_file_that_grew_since_the_last_look_waits_anew() -> None:
    before, now = listed("a.mp4", 10), listed("a.mp4", 20)
    result = decision([now], {}, state=seen([before]))
    assert names(result.waiting) == ["a.mp4"]
    assert result.state.pending[now.uri].since_s == NOW_S


def test_a_file_written_two_seconds_ago_waits() -> None:
    file = listed("a.mp4", mtime_ns=int((NOW_S - 2) * 1e9))
    assert names(decision([file], {}).waiting) == ["a.mp4"]


def test_two_looks_within_the_settling_time_are_not_enough() -> None:
    file = listed("a.mp4")
    assert decision([file], {}, state=seen([file], since_s=NOW_S - 2)).waiting


def test_a_file_from_a_clock_that_is_ahead_settles_too() -> None:
    file = listed("a.mp4", mtime_ns=int((NOW_S + 86400) * 1e9))
    assert found_names(decision([file], {"a.mp4": "m1"}).new) == ["a.mp4"]


def test_a_settled_file_that_is_not_read_yet_keeps_its_place_in_the_queue() -> None:
    file = listed("a.mp4")
    result = decision([file], {})
    assert names(result.need_fingerprint) == ["a.mp4"]
    assert result.state.pending[file.uri].since_s == NOW_S - 60


def test_a_file_that_changed_while_it_was_read_waits() -> None:
    result = decision([listed("a.mp4")], {"a.mp4": None})
    assert names(result.waiting) == ["a.mp4"]
    assert not result.need_fingerprint


# New, known, moved, copied


def test_content_never_seen_is_new_and_leaves_no_state() -> None:
    result = decision([listed("a.mp4")], {"a.mp4": "m1"})
    assert [(f.media_id, f.file.uri) for f in result.new] == [("m1", f"{ROOT}/a.mp4")]
    assert result.state == LookState()


def test_the_same_size_and_time_are_unchanged_without_reading() -> None:
    result = decision([listed("a.mp4")], {}, knowing(place("a.mp4", "m1")))
    assert (result.unchanged, result.placed, result.need_fingerprint) == (1, (), ())


def test_a_renamed_file_is_the_same_media_at_a_new_place() -> None:
    result = decision([listed("b.mp4")], {"b.mp4": "m1"}, knowing(place("a.mp4", "m1")))
    (moved,) = result.moved
    assert (moved.media_id, moved.moved_from) == ("m1", f"{ROOT}/a.mp4")
    assert (result.new, result.copied, result.gone) == ((), (), ())


def test_a_rename_by_case_only_is_a_rename() -> None:
    result = decision([listed("A.MP4")], {"A.MP4": "m1"}, knowing(place("a.mp4", "m1")))
    assert found_names(result.moved) == ["A.MP4"]


def test_the_same_bytes_twice_are_one_media_at_two_places() -> None:
    files = [listed("a.mp4"), listed("b.mp4")]
    result = decision(files, {"a.mp4": "m1", "b.mp4": "m1"})
    assert (found_names(result.new), found_names(result.copied)) == (["a.mp4"], ["b.mp4"])


def test_a_copy_beside_a_rename_takes_the_old_place_once() -> None:
    files = [listed("b.mp4"), listed("c.mp4")]
    known = knowing(place("a.mp4", "m1"))
    result = decision(files, {"b.mp4": "m1", "c.mp4": "m1"}, known)
    assert (found_names(result.moved), found_names(result.copied)) == (["b.mp4"], ["c.mp4"])


def test_files_that_may_have_moved_are_read_before_others() -> None:
    files = [listed("new.mp4", 99), listed("moved.mp4", 10)]
    triage = what_to_read(
        knowing(place("a.mp4", "m1", 10)).places, listing(*files), seen(files), NOW_S, RULES
    )
    assert names(triage.to_read) == ["moved.mp4", "new.mp4"]


def test_files_at_new_places_are_read_before_touched_ones() -> None:
    files = [listed("a.mp4", mtime_ns=OLD_NS + 1), listed("z.mp4")]
    known = knowing(place("a.mp4", "m1"))
    triage = what_to_read(known.places, listing(*files), seen(files), NOW_S, RULES)
    assert names(triage.to_read) == ["z.mp4", "a.mp4"]


# Changed, touched


def test_other_content_at_a_place_supersedes_what_was_there() -> None:
    file = listed("a.mp4", 20)
    (changed,) = decision([file], {"a.mp4": "m2"}, knowing(place("a.mp4", "m1"))).changed
    assert (changed.media_id, changed.previous, changed.supersedes) == ("m2", "m1", True)


def test_content_that_lives_on_elsewhere_is_not_superseded() -> None:
    known = knowing(place("a.mp4", "m1"), place("copy.mp4", "m1"))
    files = [listed("a.mp4", 20), listed("copy.mp4")]
    (changed,) = decision(files, {"a.mp4": "m2"}, known).changed
    assert not changed.supersedes


def test_content_that_was_put_aside_before_its_place_was_overwritten_is_not_superseded() -> None:
    files = [listed("a.mp4", 20), listed("old.mp4", 10)]
    result = decision(files, {"a.mp4": "m2", "old.mp4": "m1"}, knowing(place("a.mp4", "m1")))
    assert found_names(result.copied) == ["old.mp4"]
    assert not result.changed[0].supersedes


def test_two_files_that_swap_their_names_supersede_nothing() -> None:
    known = knowing(place("a.mp4", "m1"), place("b.mp4", "m2", 20))
    files = [listed("a.mp4", 20), listed("b.mp4", 10)]
    result = decision(files, {"a.mp4": "m2", "b.mp4": "m1"}, known)
    assert [(f.media_id, f.supersedes) for f in result.changed] == [("m2", False), ("m1", False)]


def test_an_edit_that_is_undone_supersedes_the_edit() -> None:
    known = replace(
        knowing(place("a.mp4", "m2", 20)),
        media={"m1": media("m1", superseded_by="m2"), "m2": media("m2", asset_id="m1")},
    )
    (changed,) = decision([listed("a.mp4", 10)], {"a.mp4": "m1"}, known).changed
    assert (changed.media_id, changed.supersedes) == ("m1", True)


def test_a_new_time_on_a_small_file_with_the_same_bytes_is_only_a_touch() -> None:
    file = listed("a.mp4", mtime_ns=OLD_NS + 1)
    result = decision([file], {"a.mp4": "m1"}, knowing(place("a.mp4", "m1")))
    assert (found_names(result.touched), result.changed) == (["a.mp4"], ())


def test_a_new_time_on_a_large_file_wants_the_whole_of_it() -> None:
    file = listed("a.mp4", LARGE, OLD_NS + 1)
    known = knowing(place("a.mp4", "m1", LARGE), checksums={"m1": "aa"})
    result = decision([file], {"a.mp4": "m1"}, known)
    assert (names(result.need_whole), result.placed) == (["a.mp4"], ())
    assert file.uri in result.state.pending


def test_a_large_file_with_the_same_checksum_is_only_touched() -> None:
    file = listed("a.mp4", LARGE, OLD_NS + 1)
    known = knowing(place("a.mp4", "m1", LARGE), checksums={"m1": "aa"})
    result = decision([file], {"a.mp4": "m1"}, known, whole={"a.mp4": "aa"})
    assert found_names(result.touched) == ["a.mp4"]


def test_a_large_file_with_another_checksum_is_a_media_of_its_own() -> None:
    file = listed("a.mp4", LARGE, OLD_NS + 1)
    known = knowing(place("a.mp4", "m1", LARGE), checksums={"m1": "aa"})
    (changed,) = decision([file], {"a.mp4": "m1"}, known, whole={"a.mp4": "bb"}).changed
    assert changed.media_id == collision_identity("m1", "bb")
    assert (changed.collides_with, changed.previous) == ("m1", "m1")


def test_a_large_file_is_taken_at_its_samples_where_nothing_can_be_compared() -> None:
    file = listed("a.mp4", LARGE, OLD_NS + 1)
    known = knowing(place("a.mp4", "m1", LARGE))
    assert found_names(decision([file], {"a.mp4": "m1"}, known).touched) == ["a.mp4"]


def test_two_large_new_files_with_the_same_samples_are_compared_whole() -> None:
    files = [listed("a.mp4", LARGE), listed("b.mp4", LARGE)]
    contents = {"a.mp4": "m1", "b.mp4": "m1"}
    assert names(decision(files, contents).need_whole) == ["a.mp4", "b.mp4"]
    alike = decision(files, contents, whole={"a.mp4": "aa", "b.mp4": "aa"})
    assert (found_names(alike.new), found_names(alike.copied)) == (["a.mp4"], ["b.mp4"])
    other = decision(files, contents, whole={"a.mp4": "aa", "b.mp4": "bb"})
    assert [f.media_id for f in other.new] == ["m1", collision_identity("m1", "bb")]


def test_a_large_file_that_merely_moved_is_not_read_whole() -> None:
    known = knowing(place("a.mp4", "m1", LARGE), checksums={"m1": "aa"})
    result = decision([listed("b.mp4", LARGE)], {"b.mp4": "m1"}, known)
    assert (found_names(result.moved), result.need_whole) == (["b.mp4"], ())


# Gone, back, the guard


def some_places(count: int) -> list[Location]:
    return [place(f"{n}.mp4", f"m{n}", 100 + n) for n in range(count)]


def some_files(count: int) -> list[Listed]:
    return [listed(f"{n}.mp4", 100 + n) for n in range(count)]


def test_a_file_that_is_not_there_any_more_is_gone() -> None:
    result = decision(some_files(3), {}, knowing(*some_places(4)))
    assert names(result.gone) == ["3.mp4"]


def test_a_loss_waits_while_it_may_have_moved_to_a_file_not_read_yet() -> None:
    files = [*some_files(3), listed("new.mp4", 103)]
    known = knowing(*some_places(4))
    assert decision(files, {}, known).gone == ()
    assert found_names(decision(files, {"new.mp4": "m3"}, known).moved) == ["new.mp4"]
    assert names(decision(files, {"new.mp4": "m9"}, known).gone) == ["3.mp4"]


def test_a_file_that_is_back_as_it_was_is_back_without_reading() -> None:
    missing = place("a.mp4", "m1", missing_since="2026-02-02")
    result = decision([listed("a.mp4")], {}, knowing(missing))
    assert (found_names(result.back), result.unchanged) == (["a.mp4"], 0)


def test_what_lies_below_an_unreadable_folder_is_unknown_and_not_gone() -> None:
    known = knowing(place("closed/a.mp4", "m1"), place("b.mp4", "m2"))
    result = decision([listed("b.mp4")], {}, known, unlisted=(f"{ROOT}/closed",))
    assert (result.gone, result.refused) == ((), "")


def test_losing_more_than_the_share_is_refused_and_changes_nothing() -> None:
    files = [*some_files(4), listed("new.mp4", 7)]
    result = decision(files, {"new.mp4": "m99"}, knowing(*some_places(10)))
    assert result.refused == "6 of 10 files vanished at once"
    assert (result.new, result.gone) == ((), ())
    assert result.state.refused_since_s == NOW_S


def test_losing_half_is_believed() -> None:
    result = decision(some_files(5), {}, knowing(*some_places(10)))
    assert (len(result.gone), result.refused) == (5, "")


def test_losing_one_of_two_files_is_believed() -> None:
    assert len(decision(some_files(1), {}, knowing(*some_places(2))).gone) == 1


def test_an_empty_root_that_held_one_file_is_refused() -> None:
    result = decision([], {}, knowing(*some_places(1)))
    assert "it is empty, but 1 files were there" in result.refused


def test_a_root_that_cannot_be_listed_is_refused() -> None:
    result = decision([], {}, knowing(*some_places(1)), problem="/films cannot be listed: x")
    assert result.refused == "/films cannot be listed: x"


def test_a_renamed_folder_with_all_the_files_is_believed() -> None:
    files = [replace(f, uri=f.uri.replace(ROOT, f"{ROOT}/new")) for f in some_files(10)]
    contents = {f"new/{n}.mp4": f"m{n}" for n in range(10)}
    result = decision(files, contents, knowing(*some_places(10)))
    assert (len(result.moved), result.refused, result.gone) == (10, "", ())


def test_a_refusal_keeps_its_first_moment_until_the_root_is_back() -> None:
    open_since = LookState(refused_since_s=NOW_S - 500)
    known = knowing(*some_places(4))
    assert decision([], {}, known, state=open_since).state.refused_since_s == NOW_S - 500
    back = decision(some_files(4), {}, known, state=open_since)
    assert (back.refused, back.unchanged, back.state.refused_since_s) == ("", 4, None)


def test_an_acceptance_after_the_refusal_lets_the_losses_through() -> None:
    rules = replace(RULES, accepted_s=NOW_S - 100)
    state = LookState(refused_since_s=NOW_S - 500)
    result = decision([], {}, knowing(*some_places(4)), state=state, rules=rules)
    assert (len(result.gone), result.refused) == (4, "")
    assert result.state.refused_since_s is None


def test_an_acceptance_from_before_the_refusal_does_not_count() -> None:
    rules = replace(RULES, accepted_s=NOW_S - 600)
    state = LookState(refused_since_s=NOW_S - 500)
    assert decision([], {}, knowing(*some_places(4)), state=state, rules=rules).refused


def test_an_acceptance_serves_one_refusal_only() -> None:
    rules = replace(RULES, accepted_s=NOW_S - 100)
    assert decision([], {}, knowing(*some_places(4)), rules=rules).refused


# Unreadable and empty files


def by_address(name: str, size_bytes: int = 10) -> Content:
    return Content(address_identity(f"{ROOT}/{name}", size_bytes), is_readable=False)


def test_an_unreadable_new_file_is_registered_by_its_address() -> None:
    unreadable = by_address("a.mp4")
    result = decision([listed("a.mp4")], {"a.mp4": unreadable})
    assert [f.media_id for f in result.new] == [unreadable.media_id]


def test_an_unreadable_file_is_tried_again_at_each_look() -> None:
    unreadable = by_address("a.mp4")
    known = knowing(place("a.mp4", unreadable.media_id))
    triage = what_to_read(known.places, listing(listed("a.mp4")), LookState(), NOW_S, RULES)
    assert names(triage.to_read) == ["a.mp4"]
    still = decision([listed("a.mp4")], {"a.mp4": unreadable}, known)
    assert (still.unchanged, still.placed) == (1, ())


def test_a_file_that_can_be_read_at_last_supersedes_its_address() -> None:
    known = knowing(place("a.mp4", by_address("a.mp4").media_id))
    (changed,) = decision([listed("a.mp4")], {"a.mp4": "m1"}, known).changed
    assert (changed.media_id, changed.supersedes) == ("m1", True)


def test_a_known_file_that_cannot_be_read_now_keeps_its_media() -> None:
    file = listed("a.mp4", mtime_ns=OLD_NS + 1)
    result = decision([file], {"a.mp4": by_address("a.mp4")}, knowing(place("a.mp4", "m1")))
    assert (names(result.waiting), result.placed) == (["a.mp4"], ())


def test_two_empty_files_are_two_media() -> None:
    files = [listed("a.mp4", 0), listed("b.mp4", 0)]
    contents = {"a.mp4": by_address("a.mp4", 0), "b.mp4": by_address("b.mp4", 0)}
    assert len({f.media_id for f in decision(files, contents).new}) == 2


# Sidecars


def sidecar(name: str = "a.xmp", size_bytes: int = 3, mtime_ns: int = OLD_NS) -> Sidecar:
    return Sidecar(f"{ROOT}/{name}", size_bytes, mtime_ns)


def test_a_sidecar_that_appears_changes_the_version_of_its_media() -> None:
    file = listed("a.mp4", sidecars=(sidecar(),))
    result = decision([file], {}, knowing(place("a.mp4", "m1")))
    assert [(c.media_id, c.version) for c in result.sidecars_changed] == [
        ("m1", sidecar_version([sidecar()]))
    ]
    assert (result.unchanged, result.placed) == (1, ())


def test_a_sidecar_that_is_known_changes_nothing() -> None:
    file = listed("a.mp4", sidecars=(sidecar(),))
    known = knowing(
        place("a.mp4", "m1"),
        media={"m1": media("m1", sidecar_version=sidecar_version([sidecar()]))},
    )
    assert decision([file], {}, known).sidecars_changed == ()


def test_a_sidecar_that_vanishes_changes_the_version_back_to_none() -> None:
    known = knowing(place("a.mp4", "m1"), media={"m1": media("m1", sidecar_version="ab")})
    (change,) = decision([listed("a.mp4")], {}, known).sidecars_changed
    assert change.version == ""


def test_a_sidecar_being_written_waits_for_the_next_look() -> None:
    young = sidecar(mtime_ns=int((NOW_S - 1) * 1e9))
    file = listed("a.mp4", sidecars=(young,))
    assert decision([file], {}, knowing(place("a.mp4", "m1"))).sidecars_changed == ()


def test_a_file_renamed_with_its_sidecar_keeps_the_version() -> None:
    assert sidecar_version([sidecar("a.xmp")]) == sidecar_version([sidecar("B.XMP")])


@pytest.mark.parametrize("other", [sidecar(size_bytes=4), sidecar(mtime_ns=OLD_NS + 1)])
def test_size_and_time_make_the_version_of_sidecars(other: Sidecar) -> None:
    assert sidecar_version([sidecar()]) != sidecar_version([other])
