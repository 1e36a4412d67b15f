"""Which models a library works with: those of the settings, unless it has switched to another space.

Once a kind of space was switched, the library's own record decides for every worker alike; a setting
that says otherwise is told of and not followed, for two workers with two models would mix spaces.
"""

from collections.abc import Iterable, Mapping

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.catalogue.database import CATALOGUE_FILE
from dam_pipeline.catalogue.spaces import SpaceRecord, Status
from dam_pipeline.errors import DamError
from dam_pipeline.settings import Settings

MODEL_SETTINGS: Mapping[str, str] = {
    "image_text": "clip_model",
    "face": "face_model",
    "sentence": "sentence_model",
}
"""The setting that names the model, by the kind of its space."""


def with_model(settings: Settings, kind: str, model: str) -> Settings:
    """The settings with another model of a kind."""
    return settings.model_copy(update={MODEL_SETTINGS[kind]: model})


def in_use(settings: Settings, records: Iterable[SpaceRecord]) -> Settings:
    """The settings with the models of the active spaces."""
    for one in records:
        if one.status is Status.ACTIVE:
            settings = with_model(settings, one.kind, one.model)
    return settings


def stems_of(records: Iterable[SpaceRecord]) -> dict[str, str]:
    """Stage → stem of the active spaces."""
    return {one.stage: one.stem for one in records if one.status is Status.ACTIVE}


def conflicts(settings: Settings, records: Iterable[SpaceRecord]) -> list[str]:
    """What a person should know who set a model that is not the one of the active space."""
    found = []
    for one in records:
        name = MODEL_SETTINGS[one.kind]
        asked = getattr(settings, name)
        if one.status is Status.ACTIVE and asked and asked != one.model:
            found.append(
                f"DAM_{name.upper()}={asked} is not followed: the library's space is {one.name} "
                f"since {one.switched_at[:10]}. Take the setting away, or build that model's space "
                f"with `dam space build {asked} --kind {one.kind}` and promote it."
            )
    return found


def library_settings(settings: Settings) -> Settings:
    """The settings with the models that the library works with; as they are where there is none.

    Where the catalogue does not answer, the settings stand: nothing can run then anyway.
    """
    if not settings.postgres_url and not (settings.home / CATALOGUE_FILE).exists():
        return settings
    try:
        with open_catalogue(settings.home, settings.postgres_url) as catalogue:
            return in_use(settings, catalogue.spaces.all())
    except DamError:
        return settings
