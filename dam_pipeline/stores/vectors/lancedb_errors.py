"""LanceDB's errors in the words of this house; it has none of its own and tells them by text."""

import re
from pathlib import Path

from dam_pipeline.errors import DiskFull, StoreUnavailable

VENDOR_ERRORS = (RuntimeError, OSError, ValueError)  # what LanceDB raises


def store_error(error: Exception, folder: Path) -> StoreUnavailable | DiskFull:
    """The error of this house for one of LanceDB's."""
    if re.search(r"no space left|os error 28|quota exceeded", str(error), re.IGNORECASE):
        return DiskFull(f"No room left for {folder}. Free some space; the work then goes on.")
    words = str(error).split(", /root/")[0].splitlines()[:1] or [type(error).__name__]
    return StoreUnavailable(
        f"The vector store in {folder} cannot be used: {words[0][:300]}. Check that the folder can "
        "be written; if it is damaged, delete it and run `dam rebuild`."
    )


def is_conflict(error: Exception) -> bool:
    """Whether another writer's commit came first (LanceDB says so in words alone)."""
    return "conflict" in str(error).lower()
