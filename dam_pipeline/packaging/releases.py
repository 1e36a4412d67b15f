"""Releases: the signed files that go with items, copied into the package under names of their own."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.packaging.manifest import PackagedFile
from dam_pipeline.packaging.verification import sha256_of
from dam_pipeline.stock.record import Finding, Release, Verdict
from dam_pipeline.stores.derived import replaced

RELEASES = "releases"


class Releases:
    """The releases of a package: each file once, however many items it belongs to."""

    def __init__(self, folder: Path, agency: Agency, verdicts: Sequence[Verdict]) -> None:
        self._folder = folder
        self._agency = agency
        self._packaged: dict[str, PackagedFile] = {}
        self._missing: dict[str, Finding] = {}
        self._names: set[str] = set()
        for verdict in verdicts:
            for release in verdict.submission.releases:
                self._take(release)

    def missing(self, verdict: Verdict) -> list[Finding]:
        """What is wrong with the releases of an item."""
        wrong = self._missing
        return [wrong[one.sha256] for one in verdict.submission.releases if one.sha256 in wrong]

    def files_of(self, verdict: Verdict) -> tuple[str, ...]:
        """Where the releases of an item are in the package."""
        hashes = dict.fromkeys(one.sha256 for one in verdict.submission.releases)
        return tuple(self._packaged[one].file for one in hashes)

    def packaged(self, verdicts: Sequence[Verdict]) -> tuple[PackagedFile, ...]:
        """The files that these items need."""
        files = {file for one in verdicts for file in self.files_of(one)}
        return tuple(one for one in self._packaged.values() if one.file in files)

    def _take(self, release: Release) -> None:
        if release.sha256 in self._packaged or release.sha256 in self._missing:
            return
        try:
            file = self._copied(release)
        except OSError as error:
            self._missing[release.sha256] = Finding(
                "release",
                f"The release {release.path} cannot be read ({error.strerror}).",
                "Bring it back, or name its new place with `dam stock edit`.",
            )
            return
        if file is None:
            self._missing[release.sha256] = Finding(
                "release",
                f"The release {release.path} changed after it was named.",
                "Look at it, and name it again with `dam stock edit`.",
            )
            return
        self._packaged[release.sha256] = file

    def _copied(self, release: Release) -> PackagedFile | None:
        name = self._free_name(Path(release.path).name)
        target = self._folder / RELEASES / name
        with open(release.path, "rb"), replaced(target) as temporary:
            shutil.copyfile(release.path, temporary)
        if sha256_of(target) != release.sha256:
            target.unlink()
            return None
        self._names.add(name.casefold())
        rules = self._agency.releases
        goes_by = "" if rules.goes_by == "kept" else rules.goes_by
        size_bytes = target.stat().st_size
        return PackagedFile(f"{RELEASES}/{name}", size_bytes, release.sha256, goes_by, rules.folder)

    def _free_name(self, name: str) -> str:
        stem, suffix = Path(name).stem, Path(name).suffix
        number, free = 1, name
        while free.casefold() in self._names:
            number += 1
            free = f"{stem}-{number}{suffix}"
        return free
