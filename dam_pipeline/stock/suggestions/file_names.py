"""A title from the file's name, where a person gave it one."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from dam_pipeline.stock.record import Suggestion
from dam_pipeline.stock.suggestions.known import Known

NAMED = 0.35
FEWEST_WORDS = 2
SHORTEST = 3  # letters of a word that counts
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
OF_A_CAMERA = {"img", "dsc", "dscf", "dscn", "mvi", "pxl", "gopr", "dji", "mov", "vid", "clip"}
OF_AN_EDITOR = {"final", "copy", "edit", "export", "master", "untitled", "graded", "version"}


def suggest(known: Known) -> Iterator[Suggestion]:
    """The words of the name as a title; nothing for names of cameras and of single words."""
    name = known.media.first_name
    words = WORD.findall(PurePosixPath(name).stem)
    words = [one for one in words if one.casefold() not in OF_A_CAMERA | OF_AN_EDITOR]
    telling = [one for one in words if len(one) >= SHORTEST]
    if len(telling) >= FEWEST_WORDS:
        title = " ".join(words)
        yield Suggestion(
            "title", title[0].upper() + title[1:], "file name", NAMED, f"the file is called {name}"
        )
