"""The house itself: reference pages, assets, commands, borders, links, and what is committed."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.cli.reference import CommandHelp, commands
from dam_pipeline.cli.reference_pages import PAGES, write_pages
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.definitions import build_definitions
from dam_pipeline.launch import run_media
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests import clips
from dam_pipeline_tests.clips import encode
from resources.library import close_libraries

ROOT = Path(__file__).resolve().parent.parent
PICTURE_BYTES = 200_000
STAGES_SHOWN = ("probe", "shots")

# Asset → its group and what it is made from. A change here is a change that a review must see.
ASSET_GRAPH = {
    "original": ("L0_file", set()),
    "probe": ("L0_file", {"original"}),
    "checksum": ("L0_file", set()),
    "poster": ("L0_file", {"probe"}),
    "shots": ("L1_shots", {"probe"}),
    "keyframes": ("L1_shots", {"probe", "shots"}),
    "clip_embeddings": ("L1_shots", {"keyframes"}),
    "tags": ("L1_shots", {"keyframes", "clip_embeddings"}),
    "face_embeddings": ("L1_shots", {"keyframes"}),
    "transcript": ("L1_shots", {"probe"}),
    "sentence_embeddings": ("L1_shots", {"transcript"}),
    "scenes": (
        "L2_scenes",
        {"probe", "shots", "keyframes", "clip_embeddings", "tags", "face_embeddings", "transcript"},
    ),
    "search_index": (
        "L2_scenes",
        {"probe", "clip_embeddings", "face_embeddings", "transcript", "sentence_embeddings"},
    ),
    "fingerprints": ("L1_shots", {"probe", "shots"}),
    "candidate_embeddings": ("embedding_spaces", {"keyframes", "transcript"}),
    "candidate_space": ("embedding_spaces", {"candidate_embeddings"}),
    "active_space": ("embedding_spaces", {"candidate_space"}),
    "stock_shortlist": (
        "stock",
        {"probe", "checksum", "tags", "transcript", "face_embeddings"},
    ),
    "stock_deliverable": (
        "stock",
        {"probe", "checksum", "tags", "transcript", "face_embeddings", "stock_shortlist"},
    ),
    "stock_package": ("stock", {"stock_deliverable"}),
    "stock_delivery": ("stock", {"stock_deliverable", "stock_package"}),
    "run_estimates": ("L3_library", set()),
    "originals_verified": ("L3_library", {"checksum"}),
    "library_metrics": ("L3_library", {"search_index"}),
    "media_graph": (
        "L3_library",
        {
            *("probe", "shots", "keyframes", "fingerprints", "clip_embeddings", "face_embeddings"),
            *("transcript", "tags", "scenes"),
        },
    ),
}

# Loads the definitions with an ear on every socket; prints what must not have happened.
LOADING = """
import sys
opened = []
def listen(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"):
        opened.append(f"{event} {arguments[1:]}")
sys.addaudithook(listen)
import dam_pipeline.definitions
heavy = {"torch", "transformers", "av", "lancedb", "whisper", "faster_whisper", "cv2"}
print(opened + sorted(heavy & set(sys.modules)))
"""

PLACES_OF_A_MACHINE = re.compile(r"(?<![A-Za-z0-9_.])/(work|farm)/")
REGISTRY_HOSTS = re.compile(
    r"python[h]osted|\bpypi\.\w|[a]rtifactory|index[-_]url[\s='\"]+https?:", re.IGNORECASE
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture
def specs(settings: Settings) -> dict[str, dg.AssetSpec]:
    """Every asset of the location by name."""
    graph = build_definitions(settings).resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec for spec in graph}


def tracked_texts() -> Iterator[tuple[str, str]]:
    """Name and text of every file that is committed, pictures and weights left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content:
            yield name, content.decode()


def shown_of_a_clip(settings: Settings, folder: Path) -> dict[str, Mapping[str, Any]]:
    """What Dagster shows of a clip of two shots of 0.8 s, by asset."""
    clip = encode(folder / "a.mp4", clips.shots([20, 20]))
    with open_instance(settings) as instance, Toolbox.open(settings) as tools:
        found = discover([clip], tools.catalogue, tools.derived, settings).new
        list(run_media(settings, instance, {one.partition_key: one for one in found}, STAGES_SHOWN))
        events = {
            stage: instance.get_latest_materialization_event(dg.AssetKey(stage))
            for stage in STAGES_SHOWN
        }
    close_libraries()
    return {stage: event.asset_materialization.metadata for stage, event in events.items()}


def pages() -> list[Path]:
    """All Markdown pages for people."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", PAGES)
def test_a_committed_reference_page_is_what_the_code_says(name: str) -> None:
    committed = (ROOT / "docs/reference" / name).read_text()
    assert committed == PAGES[name](), "It is out of date: run `make docs`."


def test_the_reference_pages_are_written_into_any_folder(tmp_path: Path) -> None:
    write_pages(tmp_path / "reference")
    assert {path.name for path in (tmp_path / "reference").iterdir()} == set(PAGES)


def test_the_settings_page_tells_of_every_setting() -> None:
    page = PAGES["settings.md"]()
    assert [name for name in Settings.model_fields if f"`DAM_{name.upper()}`" not in page] == []


def test_every_setting_has_a_description() -> None:
    fields = Settings.model_fields.items()
    assert [name for name, field in fields if not (field.description or "").endswith(".")] == []


def test_every_stage_is_an_asset(specs: dict[str, dg.AssetSpec]) -> None:
    assert set(STAGES) <= set(specs)


@pytest.mark.parametrize("name", [*STAGES, "media_graph"])
def test_an_asset_reads_well_in_the_ui(name: str, specs: dict[str, dg.AssetSpec]) -> None:
    spec = specs[name]
    assert spec.description
    assert spec.description.rstrip().endswith(".")
    assert spec.owners == ["team:dam_pipeline"]
    assert spec.kinds
    assert spec.code_version


def test_the_asset_graph_is_as_written_here(specs: dict[str, dg.AssetSpec]) -> None:
    found = {
        name: (spec.group_name, {dep.asset_key.to_user_string() for dep in spec.deps})
        for name, spec in specs.items()
    }
    assert found == ASSET_GRAPH


def test_a_partition_shows_the_picture_first_and_raw_values_last(
    settings: Settings, tmp_path: Path
) -> None:
    shown = {name: list(values) for name, values in shown_of_a_clip(settings, tmp_path).items()}
    first = ["picture", "page", "name", "state"]
    assert shown["probe"][:6] == [*first, "kind", "duration_s"]
    assert shown["probe"][-1] == "raw"
    assert shown["shots"][:5] == [*first, "shots"]


def test_a_partition_shows_the_first_rows_of_a_clip(settings: Settings, tmp_path: Path) -> None:
    shots = shown_of_a_clip(settings, tmp_path)["shots"]
    assert shots["shots"].value == 2
    rows = [record.data for record in shots["rows"].records]
    assert rows == [
        {"start_s": 0.0, "end_s": 0.8, "transition": "start"},
        {"start_s": 0.8, "end_s": 1.6, "transition": "cut"},
    ]


def test_loading_the_definitions_opens_no_socket_and_imports_no_model(dam_home: Path) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", LOADING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("one", list(commands()), ids=lambda one: one.name)
def test_a_command_has_help_with_an_example(one: CommandHelp) -> None:
    first, _, example = one.help.rpartition("\n\n")
    assert first
    assert re.match(r"Examples?: ", example)
    assert one.name in example


@pytest.mark.parametrize("one", list(commands()), ids=lambda one: one.name)
def test_every_argument_and_option_has_help(one: CommandHelp) -> None:
    assert [parameter.names for parameter in one.parameters if not parameter.help] == []


def test_every_command_can_print_json() -> None:
    without = [
        one.name
        for one in commands()
        if not any("--json" in parameter.names for parameter in one.parameters)
    ]
    assert without == []


def test_the_page_on_json_tells_of_every_command() -> None:
    page = (ROOT / "docs/reference/json.md").read_text()
    assert [one.name for one in commands() if f"`{one.name}" not in page] == []


def test_the_lock_names_no_host() -> None:
    assert re.findall(r"https?:|index-url", (ROOT / "requirements.lock").read_text()) == []


def test_nothing_committed_names_a_registry_or_a_place_of_this_machine() -> None:
    found = [
        f"{name}: {match.group()}"
        for name, text in tracked_texts()
        for pattern in (PLACES_OF_A_MACHINE, REGISTRY_HOSTS)
        for match in pattern.finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(page.read_text())]
    paths = [target for target in targets if target and "://" not in target]
    assert [target for target in paths if not (page.parent / target).exists()] == []


def test_pictures_of_the_docs_are_small_and_used() -> None:
    shown = "".join(page.read_text() for page in pages())
    pictures = sorted((ROOT / "docs/images").iterdir())
    assert [one.name for one in pictures if one.stat().st_size > PICTURE_BYTES] == []
    assert [one.name for one in pictures if one.name not in shown] == []


def test_the_import_contracts_hold() -> None:
    script = Path(sys.executable).parent / "lint-imports"
    checked = subprocess.run(
        [script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
