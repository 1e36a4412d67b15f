"""Which workers a run needs: any, or those that are kept for models.

With the setting `gpu_queue` a file goes through two runs: what needs no model, then the rest, on
workers of that queue. So a graphics card does not wait while films are decoded.
"""

import json
from collections.abc import Iterable

from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.stage import Stage

QUEUE_TAG = "dagster-celery/queue"


def uses_models(stage: Stage) -> bool:
    """Whether the stage or one before it uses a model."""
    before = (STAGES[name] for name in (*stage.inputs, *stage.enrichments))
    return bool(stage.models) or any(uses_models(one) for one in before)


def stages_without_models() -> list[str]:
    """The stages that any worker can run."""
    return [name for name, stage in STAGES.items() if not uses_models(stage)]


def is_split(settings: Settings) -> bool:
    """Whether a file goes through two runs."""
    return bool(settings.gpu_queue)


def queue_tags(settings: Settings, stages: Iterable[str] = ()) -> dict[str, str]:
    """The tags that bring a run of these stages (none named: all) to workers that can run them."""
    chosen = [STAGES[name] for name in stages] or list(STAGES.values())
    if not is_split(settings) or not any(map(uses_models, chosen)):
        return {}
    return {QUEUE_TAG: settings.gpu_queue, **json.loads(settings.gpu_run_tags or "{}")}
