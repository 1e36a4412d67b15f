"""What a stage says about one file: a result, nothing with a reason, or a failure with a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import pyarrow as pa

from dam_pipeline.errors import (
    DamError,
    DiskFull,
    OutOfMemory,
    SourceUnavailable,
    UnreadableMedia,
)
from dam_pipeline.records import Json, ModelRef, State
from dam_pipeline.stores.derived import raise_if_full


@dataclass(frozen=True, slots=True)
class Outcome:
    """One file's outcome. `result` is small and JSON; `table` holds rows of the stage's schema.

    `counts` are numbers worth showing; `version_of` narrows what the data version is made from.
    """

    state: State
    reason: str = ""
    result: Mapping[str, Json] = field(default_factory=dict)
    table: pa.Table | None = None
    model: ModelRef | None = None
    also: tuple[ModelRef, ...] = ()
    retryable: bool = False
    version_of: Mapping[str, Json] | None = None

    @classmethod
    def empty(cls, reason: str, *, model: ModelRef | None = None) -> Self:
        """The stage ran, or does not apply, and there is nothing."""
        return cls(State.EMPTY, reason, model=model)

    @classmethod
    def of_error(cls, error: BaseException) -> Self:
        """`blocked` when the surroundings are at fault, else `failed`, with the error's words."""
        known = as_dam_error(error)
        if known is None:
            words = f"unexpected {type(error).__name__}: {error}; please report this with the log"
            return cls(State.FAILED, words)
        state = State.BLOCKED if known.blocks else State.FAILED
        return cls(state, str(known), retryable=known.retryable)


def partial_reason(partial: str) -> str:
    """The reason of a result on what could be read; empty when all could (`partial` is)."""
    return f"partial: {partial}" if partial else ""


def as_dam_error(error: BaseException) -> DamError | None:
    """The error of ours that says the same, or None for one that nobody foresaw."""
    if isinstance(error, DamError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory("Out of memory. Close other programs or lower DAM_CLIP_BATCH.")
    if not isinstance(error, OSError):
        return None
    try:
        raise_if_full(error, error.filename or "DAM_HOME")
    except DiskFull as full:
        return full
    if isinstance(error, FileNotFoundError):
        return SourceUnavailable(f"{error.filename} is gone. Bring it back, then `dam retry`.")
    if isinstance(error, PermissionError):
        return UnreadableMedia(
            f"{error.filename} may not be read (permission denied). Give this user read "
            "permission, then `dam retry`."
        )
    return SourceUnavailable(f"{error}. Check the disk or the network share, then `dam retry`.")
