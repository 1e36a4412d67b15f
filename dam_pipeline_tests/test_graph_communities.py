"""Communities: which files belong together, and a name that tells them from the rest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.graph.build import build_graph
from dam_pipeline.graph.communities import telling_terms
from dam_pipeline.graph.read import Community, community_of
from dam_pipeline.tagging.people import add_tags
from dam_pipeline.tagging.vocabulary import open_vocabulary
from dam_pipeline_tests.handmade import PICTURES, Clip, Handmade, axis, between


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Handmade]:
    with open_catalogue(tmp_path) as catalogue:
        yield Handmade(tmp_path, catalogue)


def alike(name: str, number: int, said: str = "", **probe: str) -> Clip:
    """A clip that looks like all others of its number."""
    segments = [(0, 9, said)] if said else []
    return Clip(name, [(0, 5, axis(number))], segments=segments, probe=probe)


def build(library: Handmade) -> None:
    spaces = {"image_text": PICTURES, "face": None}
    build_graph(library.settings, library.catalogue, library.derived, "run", spaces)


def tagged(library: Handmade, clips: list[Clip], *tags: str) -> None:
    settings = library.settings
    for clip in clips:
        add_tags(settings, clip.media_id, tags, open_vocabulary(settings))


def found(library: Handmade, clip: Clip) -> Community:
    community = community_of(library.settings, clip.media_id)
    assert community is not None
    return community


def test_files_that_hang_together_are_named_by_the_tags_that_tell_them_apart(
    library: Handmade,
) -> None:
    one = [alike(f"one{at}.mp4", 0) for at in range(3)]
    other = [alike(f"other{at}.mp4", 1) for at in range(2)]
    alone = alike("alone.mp4", 2)
    library.add(*one, *other, alone)
    tagged(library, one, "Leuchtturmwärter", "Elbtal")
    tagged(library, other, "Seilbahn", "Elbtal")
    tagged(library, [alone], "Elbtal")
    build(library)
    first, second = found(library, one[0]), found(library, other[0])
    assert (first.community, first.media, first.named_by) == (1, 3, "tags")
    assert (second.community, second.media) == (2, 2)
    assert first.terms[0] == "Leuchtturmwärter"
    assert second.terms[0] == "Seilbahn"
    assert found(library, one[2]) == first
    assert community_of(library.settings, alone.media_id) is None


def test_a_person_s_word_renames_without_any_file_being_processed(library: Handmade) -> None:
    clips = [alike(f"{at}.mp4", 0, camera="FX6") for at in range(2)]
    library.add(*clips)
    build(library)
    assert found(library, clips[0]).named_by == "camera"
    tagged(library, clips, "Hafenfest")
    build(library)
    assert found(library, clips[0]).name == "Hafenfest"


def test_without_tags_words_name_then_camera_and_day_then_a_file(library: Handmade) -> None:
    spoken = [alike(f"s{at}.mp4", 0, f"the lighthouse keeper number {at}") for at in range(2)]
    filmed = [
        alike(f"f{at}.mp4", 1, camera="FX6", created_at=f"2026-03-0{1 + at // 2}T10:00:00")
        for at in range(3)
    ]
    plain = [alike(f"p{at}.mp4", 2) for at in range(2)]
    library.add(*spoken, *filmed, *plain)
    build(library)
    words = found(library, spoken[0])
    assert words.named_by == "words"
    assert set(words.terms) == {"lighthouse", "keeper", "number"}
    camera = found(library, filmed[0])
    assert (camera.named_by, camera.name) == ("camera", "FX6, 2026-03-01")
    assert found(library, plain[0]).name == "files like p0.mp4"


def test_two_groups_that_one_file_joins_are_one_component_of_two_communities(
    library: Handmade,
) -> None:
    left = [alike(f"l{at}.mp4", 0) for at in range(5)]
    right = [alike(f"r{at}.mp4", 1) for at in range(5)]
    bridge = Clip("bridge.mp4", [(0, 5, between(0, 2, 0.92)), (5, 9, between(1, 3, 0.92))])
    library.add(*left, *right, bridge)
    build(library)
    communities = {found(library, one).community for one in (*left, *right)}
    assert communities == {1, 2}
    assert len({found(library, one).community for one in left}) == 1


def test_what_every_file_has_names_none_and_neither_does_what_few_have() -> None:
    terms = {"a": ["sea", "ship"], "b": ["sea", "ship"], "c": ["sea", "gull"], "d": ["sea"]}
    holders = {"sea": 4, "ship": 2, "gull": 1}
    assert telling_terms(["a", "b"], terms, holders, 4)[0] == "ship"
    assert "gull" not in telling_terms(["a", "b", "c"], terms, holders, 4)
