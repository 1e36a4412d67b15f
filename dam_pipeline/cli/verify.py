"""`dam verify`: read originals whole and compare them with what was taken in."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, bar, command, print_json, say
from dam_pipeline.cli.wording import place
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.catalogue.fixity import Fixity


@command
def run(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Only what lies below these.")
    ] = None,
    sample: Annotated[
        str,
        typer.Option(metavar="SHARE", help="Only this share, the longest unverified first: 5%."),
    ] = "100%",
    minutes: Annotated[
        float, typer.Option(min=0, help="Read no further file after this time; 0: no limit.")
    ] = 0.0,
    as_json: AsJson = False,
) -> int:
    """Read originals whole and compare their SHA-256 with what was taken in. They are only read.

    Those that were not verified for the longest time come first. Exit code 3 when some original has
    changed, is missing or cannot be read.

    Examples: dam verify · dam verify /media/tapes · dam verify --sample 5% --minutes 60
    """
    from dam_pipeline.catalogue.fixity import Sample, places_to_verify, sampled, verify
    from dam_pipeline.stages.choosing import media_below
    from dam_pipeline.stages.work import Toolbox

    share = _share(sample)
    with Toolbox.open(load_settings()) as tools:
        ids = [m.media_id for m in media_below(tools.catalogue, paths)] if paths else None
        places = sampled(places_to_verify(tools.catalogue, ids), Sample(share))
        with bar("verifying", len(places)) as tell:
            found = list(verify(tools.catalogue, tools.derived, places, minutes * 60, tell))
    counts = Counter(one.verdict.value for one in found)
    if as_json:
        files = [{"media_id": one.media_id, **one.to_json()} for one in found]
        print_json({"verified": len(found), **dict(counts), "files": files})
    else:
        _print(found, counts, len(places))
    return Exit.SOME_FAILED if any(one.is_bad for one in found) else Exit.OK


def _share(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)%", text.strip())
    if not match or not 0 < float(match[1]) <= 100:
        raise ConfigurationError(f"--sample {text} is no share. Write it as 5% or 100%.")
    return float(match[1]) / 100


def _print(found: Sequence["Fixity"], counts: Counter[str], wanted: int) -> None:
    from dam_pipeline.catalogue.fixity import FixityVerdict

    for one in found:
        if one.verdict is not FixityVerdict.OK:
            say(f"{place(one.uri)} {one.verdict.value}: {one.reason}")
    words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "none"
    say(f"{len(found)} of {wanted} originals verified: {words}.")
