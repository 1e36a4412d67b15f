"""Single files of a library that people make and every worker needs, such as its vocabulary.

They lie in DAM_HOME, or in the storage under the same names, with a copy in DAM_HOME/shared. While
the storage is away the copy of before counts: nothing that is made by it can be stored meanwhile.
"""

import shutil
import time
from pathlib import Path

from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.settings import Settings
from dam_pipeline.stores.cache import is_current, set_mark
from dam_pipeline.stores.derived import replaced
from dam_pipeline.stores.objects import Objects, Stored, open_objects

COPIES = "shared"
LOOK_AGAIN_S = 5.0

_looked_s: dict[tuple[str, Path], float] = {}  # when the storage was last asked for a copy


def library_file(settings: Settings, name: str) -> Path | None:
    """Where a file of the library can be read; None when the library has none of this name."""
    objects = open_objects(settings)
    path = settings.home / COPIES / name if objects else settings.home / name
    if objects and time.monotonic() - _looked_s.get((objects.address, path), -1e9) > LOOK_AGAIN_S:
        try:
            _bring_up(objects, name, path)
            _looked_s[objects.address, path] = time.monotonic()
        except StoreUnavailable:
            pass
    return path if path.exists() else None


def library_files(settings: Settings, folder: str) -> dict[str, Path]:
    """All files of the library in a folder, by their names in it, and where they can be read."""
    objects = open_objects(settings)
    place = (settings.home / COPIES if objects else settings.home) / folder
    if objects and time.monotonic() - _looked_s.get((objects.address, place), -1e9) > LOOK_AGAIN_S:
        try:
            _bring_up_all(objects, folder, place)
            _looked_s[objects.address, place] = time.monotonic()
        except StoreUnavailable:
            pass
    found = sorted(place.iterdir()) if place.is_dir() else []
    return {path.name: path for path in found if path.is_file() and not path.name.startswith(".")}


def keep_library_file(settings: Settings, name: str, source: Path) -> Path:
    """Make a file the library's of this name; gives where it can be read. Raises StoreUnavailable."""
    objects = open_objects(settings)
    if objects is None:
        path = settings.home / name
        if source != path:
            with replaced(path) as temporary:
                shutil.copyfile(source, temporary)
        return path
    objects.put_file(name, source)
    path = settings.home / COPIES / name
    _bring_up(objects, name, path)
    return path


def forget_library_file(settings: Settings, name: str) -> None:
    """Delete the library's file of this name, if there is one; raises StoreUnavailable."""
    objects = open_objects(settings)
    if objects:
        objects.delete([name])
        (settings.home / COPIES / name).unlink(missing_ok=True)
    else:
        (settings.home / name).unlink(missing_ok=True)


def _bring_up_all(objects: Objects, folder: str, place: Path) -> None:
    stored = {one.name: one for one in objects.list(f"{folder}/")}
    there = place.iterdir() if place.is_dir() else ()
    for name in {*stored, *(f"{folder}/{path.name}" for path in there)}:
        _copy(objects, name, place / name.removeprefix(f"{folder}/"), stored.get(name))


def _bring_up(objects: Objects, name: str, path: Path) -> None:
    stored = next((one for one in objects.list(name) if one.name == name), None)
    _copy(objects, name, path, stored)


def _copy(objects: Objects, name: str, path: Path, stored: Stored | None) -> None:
    """Make the file that one object is copied to what the object is; gone where there is none."""
    if stored is None:
        path.unlink(missing_ok=True)
    elif not is_current(path, stored) and (found := objects.get(name)):
        with replaced(path) as temporary:
            temporary.write_bytes(found[0])
            set_mark(temporary, found[1])
