"""What `dam doctor` looks at in embedding spaces."""

from dam_pipeline.catalogue.active_models import conflicts
from dam_pipeline.cli.findings import Finding, well, wrong
from dam_pipeline.spaces.decisions import bring_up, undone
from dam_pipeline.stages.work import Toolbox


def check_spaces(tools: Toolbox) -> Finding:
    """Whether what people decided was carried out, and whether settings agree with it."""
    records = tools.catalogue.spaces.all()
    if names := undone(tools.settings, tools.catalogue):
        return wrong(
            "embedding spaces",
            f"What was decided of {', '.join(names)} was interrupted; the library is as it was.",
            "`dam doctor --repair` carries it out.",
            lambda: f"carried out: {', '.join(bring_up(tools.settings, tools.catalogue))}",
        )
    if unheeded := conflicts(tools.asked, records):
        return wrong("embedding spaces", unheeded[0], "Take the setting away.")
    others = sum(one.status != "active" for one in records)
    return well("embedding spaces", f"{others} beside the active ones.")
