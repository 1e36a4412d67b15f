"""`make demo`: the whole pipeline on a small sample library, or on a folder of one's own.

Here belongs which commands the demo runs, in which order. It calls `dam` as a person would, each
command a process of its own, so what it shows is what they do.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dam_pipeline.cli import demo_view as view
from dam_pipeline.cli.output import Exit
from dam_pipeline.errors import ConfigurationError, DamError
from dam_pipeline.records import Json
from dam_pipeline.samples.contents import CONTENTS, Shown
from dam_pipeline.samples.drawing import Scene
from dam_pipeline.samples.library import make_library

DEMO = Path(".demo")
SOUGHT = (Scene(1, "red", "circle", "white"), Scene(1, "yellow", "triangle", "blue"))
SPOKEN = "orchestra"
PICTURE = "photos/IMG_1002.jpg"
RELATED = ("clips/reel-for-web.mp4", "faces/astronaut-mirrored.png", "sound/memo.flac")

HITS, EDGES = 4, 5
FILES_ASKED = 12
"""Most files of a person's own whose relations are asked for, at a second or two each."""

LONG = ("ingest",)
TROUBLE = ("failed", "blocked")


@dataclass(frozen=True, slots=True)
class Dam:
    """The command `dam` on one home."""

    home: Path

    def ask(self, *words: str) -> Json:
        """What a command answers with `--json`; the progress of long ones goes to this terminal.

        Raises DamError when it ends with an error of its own, not when media have failed.
        """
        environment = {**os.environ, "DAM_HOME": str(self.home)}
        environment.setdefault("DAM_PROFILE", "bundled")
        command = [str(Path(sys.executable).with_name("dam")), *words, "--json"]
        notes = None if words[0] in LONG else subprocess.PIPE
        answer = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=notes, env=environment, check=False
        )
        if answer.returncode not in (Exit.OK, Exit.SOME_FAILED):
            told = (answer.stderr or b"").decode(errors="replace")
            raise DamError(f"`dam {' '.join(words)}` ended with {answer.returncode}. {told}")
        return json.loads(answer.stdout)

    def ask_aloud(self, *words: str) -> Json:
        """The same, after showing the command."""
        view.command_line(words)
        return self.ask(*words)


def run_on_samples(dam: Dam, folder: Path) -> None:
    """Make the sample library in `folder`, process it, search it."""
    view.heading(f"A small library of our own, in {folder}")
    make_library(folder, lambda sample: view.note(f"  {sample.name}: {sample.what}"))
    media = _process(dam, folder)
    broken = [sample.name for sample in CONTENTS if not sample.is_readable]
    _tell_trouble(media, folder, expected=broken)

    warnings: list[str] = []
    view.heading("Pictures by words")
    for scene in SOUGHT:
        warnings += _search(dam, folder, scene.caption)
        view.show_truth(_where(scene))
    view.heading("Spoken words")
    warnings += _search(dam, folder, SPOKEN)
    view.heading("Pictures like a picture")
    warnings += _search(dam, folder, "--image", str(folder / PICTURE))
    for warning in dict.fromkeys(warnings):
        view.note(f"warning: {warning}")
    view.heading("What belongs together")
    for name in RELATED:
        view.show_relations(_strongest(dam.ask_aloud("related", str(folder / name))), folder)


def run_on(dam: Dam, folder: Path) -> None:
    """Process a person's own folder and show what needs no words about pictures.

    The bundled image model knows drawn shapes only, so text-to-picture searches are left out.
    """
    media = _process(dam, folder)
    _tell_trouble(media, folder, expected=())
    view.heading("Faces")
    view.note(f"found in {len(_with(media, 'face_embeddings'))} of {len(media)} files")
    _search_own_words(dam, folder, media)
    _search_own_pictures(dam, folder, media)
    view.heading("What belongs together")
    asked = _with(media, "probe")[:FILES_ASKED]
    answers = ((one, dam.ask("related", one["partition_key"])) for one in asked)
    related = list(islice(((one, edges) for one, edges in answers if edges), len(RELATED)))
    for one, edges in related:
        view.command_line(("related", one["partition_key"]))
        view.show_relations(_strongest(edges), folder)
    if not related:
        view.note(f"nothing among the first {len(asked)} files")


def main() -> None:
    """Run the demo; exit code 0 also when single files failed, 1 when the pipeline did."""
    parser = argparse.ArgumentParser(prog="make demo", description=main.__doc__)
    parser.add_argument("--media", type=Path, help="a folder of your own instead of the samples")
    own: Path | None = parser.parse_args().media
    home = DEMO / ("own-home" if own else "home")
    dam = Dam(home.absolute())
    try:
        if own is None:
            run_on_samples(dam, DEMO / "samples")
        elif own.is_dir():
            run_on(dam, own)
        else:
            raise ConfigurationError(f"{own} is no folder. Name one: make demo MEDIA=/folder")
    except DamError as error:
        sys.exit(f"demo: {error}")
    view.heading("See it in the browser")
    view.OUT.print(f"  make dev DAM_HOME={home} DAM_PROFILE=bundled", soft_wrap=True)


def _process(dam: Dam, folder: Path) -> list[Json]:
    """Ingest a folder and show how far each of its files came."""
    view.heading("The pipeline")
    dam.ask("init")
    started = time.monotonic()
    counts = dam.ask_aloud("ingest", str(folder))
    told = ", ".join(f"{counts[state]} {state}" for state in ("done", *TROUBLE))
    view.note(f"{counts['discovered']} files in {time.monotonic() - started:.0f} s: {told}")
    if not counts["media"]:
        raise ConfigurationError(f"{folder} holds no media that can be read.")
    media: list[Json] = dam.ask("status", str(folder))["media"]
    media.sort(key=view.uri_of)
    view.show_status(media, folder)
    return media


def _tell_trouble(media: Sequence[Json], folder: Path, expected: Sequence[str]) -> None:
    for one in media:
        name = view.name_of(view.uri_of(one), folder)
        for stage, value in one["stages"].items():
            if value["state"] in TROUBLE:
                meant = " as it should" if name in expected else ""
                view.note(f"{name} {value['state']}{meant} at {stage}: {value['reason']}")


def _search(dam: Dam, folder: Path, *words: str) -> list[str]:
    """Show the hits of a search; returns its warnings, which are the same for many."""
    answer = dam.ask_aloud("search", *words)
    view.show_hits(answer["hits"][:HITS], folder)
    warnings: list[str] = answer["warnings"]
    return warnings


def _search_own_words(dam: Dam, folder: Path, media: Sequence[Json]) -> None:
    view.heading("Spoken words")
    for one in _with(media, "transcript")[:FILES_ASKED]:
        segments = dam.ask("show", one["partition_key"])["transcript"]
        words = sorted((word for part in segments for word in part["text"].split()), key=len)
        if words:
            _search(dam, folder, words[-1].strip(".,;:!?"))
            return
    view.note("Nobody speaks in these files.")


def _search_own_pictures(dam: Dam, folder: Path, media: Sequence[Json]) -> None:
    view.heading("Pictures like a picture")
    for one in _with(media, "keyframes")[:1]:
        keyframes = dam.ask("show", one["partition_key"])["keyframes"]
        hero = next(frame for frame in keyframes if frame["is_hero"])
        _search(dam, folder, "--image", os.path.relpath(dam.home / hero["path"]))


def _with(media: Sequence[Json], stage: str) -> list[Json]:
    """The media that have a result of a stage."""
    return [one for one in media if one["stages"].get(stage, {}).get("state") == "done"]


def _where(scene: Scene) -> Iterator[tuple[str, Shown]]:
    for sample in CONTENTS:
        for shown in sample.shown:
            if shown.scene == scene:
                yield sample.name, shown


def _strongest(edges: Sequence[Json]) -> list[Json]:
    """The strongest edge of each kind to each other file, the strongest first."""
    best: dict[tuple[str, str], Json] = {}
    for edge in sorted(edges, key=lambda edge: -edge["weight"]):
        best.setdefault((edge["kind"], edge["other"]["media_id"]), edge)
    return list(best.values())[:EDGES]


if __name__ == "__main__":
    main()
