"""Spaces by the names that people use: what a model's space would be, which one is meant."""

import os
from pathlib import Path
from typing import cast

from dam_pipeline import models
from dam_pipeline.catalogue.active_models import MODEL_SETTINGS, with_model
from dam_pipeline.catalogue.catalogue import now_iso
from dam_pipeline.catalogue.spaces import SpaceRecord, Status
from dam_pipeline.errors import ConfigurationError, SpaceMismatch
from dam_pipeline.models.known import Kind
from dam_pipeline.models.locate import locate, wanted
from dam_pipeline.records import Space
from dam_pipeline.search.index_rows import VECTOR_STAGES
from dam_pipeline.settings import Settings
from dam_pipeline.spaces.decisions import decide
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.tagging.background import file_name


def add_candidate(tools: Toolbox, model: str, kind: str) -> SpaceRecord:
    """The space of a model, as a candidate of the library from now on.

    Raises ConfigurationError for an unknown kind and for the model that is active, WeightsMissing
    and WeightsMismatch.
    """
    record = probed_space(tools, model, kind)
    if find_space(tools, record.name) is None:
        decide(tools.settings, "add", record)
        tools.catalogue.spaces.put(record)
    return record


def probed_space(tools: Toolbox, model: str, kind: str) -> SpaceRecord:
    """The space of a model as the library knows it, or as it would be added; raises the same."""
    checked = _kind(kind)
    path = Path(model).expanduser()
    name = str(path.resolve()) if os.sep in model or path.is_dir() else model
    space = space_of(with_model(tools.settings, checked, name), checked)
    if active_space(tools, checked).name == space.name:
        raise ConfigurationError(f"{space.name} is the active space of {kind} already.")
    if known := find_space(tools, space.name):
        return known
    stage = VECTOR_STAGES[checked]
    stem = f"{stage}@{file_name(space.name)}"
    return SpaceRecord(
        space.name, checked, stage, stem, name, space.dimension, Status.CANDIDATE, now_iso()
    )


def active_space(tools: Toolbox, kind: str) -> SpaceRecord:
    """The active space of a kind: the one promoted last, else that of the settings."""
    records = tools.catalogue.spaces.all()
    active = (one for one in records if one.kind == kind and one.status is Status.ACTIVE)
    return next(active, None) or home_space(tools, kind)


def home_space(tools: Toolbox, kind: str) -> SpaceRecord:
    """The space that the settings choose, whose files have the plain name of their stage."""
    checked = _kind(kind)
    stage = VECTOR_STAGES[checked]
    known = (one for one in tools.catalogue.spaces.all() if one.kind == kind)
    if found := next((one for one in known if one.stem == stage), None):
        return found
    model = wanted(tools.asked, checked)
    space = models.spaces(tools.asked)[checked]
    name, dimension = (space.name, space.dimension) if space else (f"{model}@missing", 0)
    return SpaceRecord(name, checked, stage, stage, model, dimension, Status.ACTIVE, now_iso())


def named_space(tools: Toolbox, name: str, kind: str | None = None) -> SpaceRecord:
    """The space of a name, a unique beginning of one, or a model; raises ConfigurationError."""
    records = [one for one in tools.catalogue.spaces.all() if kind in (None, one.kind)]
    exact = [one for one in records if name in (one.name, one.model)]
    found = exact or [one for one in records if one.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(one.name for one in found)
        raise ConfigurationError(f"{name} fits several spaces: {names}. Say more.")
    raise ConfigurationError(
        f"No space is called {name}. `dam space list` tells which there are; `dam space build MODEL` "
        "makes one."
    )


def find_space(tools: Toolbox, name: str) -> SpaceRecord | None:
    """The space of exactly this name."""
    return next((one for one in tools.catalogue.spaces.all() if one.name == name), None)


def previous_space(tools: Toolbox, kind: str) -> SpaceRecord:
    """The space that was active before the present one; raises ConfigurationError without any."""
    records = tools.catalogue.spaces.all()
    before = [one for one in records if one.kind == kind and one.status is Status.PREVIOUS]
    if not before:
        raise ConfigurationError(f"There is no space of {kind} to go back to.")
    return max(before, key=lambda one: one.switched_at)


def space_of(settings: Settings, kind: str) -> Space:
    """The space of the settings' model with its floors; raises WeightsMissing, WeightsMismatch."""
    checked = _kind(kind)
    locate(settings, checked)
    space = models.spaces(settings)[checked]
    if space is None:
        raise ConfigurationError(f"The model for {kind} cannot be used: `dam models verify`.")
    return space


def checked_space(view: Toolbox, record: SpaceRecord) -> Space:
    """The space of a record as its model gives it now; raises SpaceMismatch for other weights."""
    space = space_of(view.settings, record.kind)
    if space.name != record.name:
        raise SpaceMismatch(
            f"{record.model} now gives the space {space.name}, not {record.name}: its weights or "
            "precision have changed. Bring them back, or remove the space and build it anew."
        )
    return space


def _kind(kind: str) -> Kind:
    if kind in MODEL_SETTINGS:
        return cast(Kind, kind)
    kinds = ", ".join(MODEL_SETTINGS)
    raise ConfigurationError(f"There is no kind of space {kind!r}. Choose one of: {kinds}.")
