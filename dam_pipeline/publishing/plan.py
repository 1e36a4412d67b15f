"""What publishing a package would send, and what not and why: read and decided, nothing is changed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dam_pipeline.errors import ConfigurationError, PackageInvalid
from dam_pipeline.packaging.manifest import (
    MANIFEST_FILE,
    PACKAGES,
    Manifest,
    PackagedFile,
    PackagedItem,
    read_manifest,
)
from dam_pipeline.packaging.verification import OnBytes, verify_package
from dam_pipeline.publishing import Destination
from dam_pipeline.publishing.parts import checked_name
from dam_pipeline.settings import Settings
from dam_pipeline.stock.deliveries import (
    ENDED,
    THERE,
    UNSENT,
    Deliveries,
    Delivery,
    DeliveryState,
    no_longer_to_send,
)

TOLD_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file to send to `name` below the destination's folder, and where its delivery stands.

    `is_last` files, such as tables, name others and go when all of those are there; of one that
    `is_known` the ledger says already that it is to be sent.
    """

    source: Path
    name: str
    delivery: Delivery
    is_last: bool = False
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent from a package, and the deliveries that are left out with their reason."""

    folder: Path
    manifest: Manifest
    destination: Destination
    outgoing: tuple[Outgoing, ...]
    left_out: tuple[Delivery, ...]

    @property
    def size_bytes(self) -> int:
        """What is to be sent, in bytes."""
        return sum(one.delivery.size_bytes for one in self.outgoing)


def find_package(settings: Settings, reference: str | Path) -> Path:
    """The folder of a package: a path, or a name below DAM_HOME/packages.

    Raises PackageInvalid for a folder that is none, ConfigurationError where there is no such folder.
    """
    ours = settings.home / PACKAGES
    places = (Path(reference).expanduser().absolute(), ours / reference)
    for folder in places:
        if (folder / MANIFEST_FILE).is_file():
            return folder
    names = [path.parent.name for path in sorted(ours.glob(f"*/{MANIFEST_FILE}"))]
    there = f" There are: {', '.join(names)}." if names else " `dam stock package` makes one."
    if not any(folder.exists() for folder in places):
        raise ConfigurationError(
            f"There is no package {reference}: neither {' nor '.join(map(str, places))} is there.{there}"
        )
    raise PackageInvalid(f"{reference} is no package: it has no {MANIFEST_FILE}.{there}")


def plan_delivery(
    settings: Settings,
    folder: Path,
    destination: Destination,
    *,
    again: bool = False,
    checked: OnBytes | None = None,
) -> Plan:
    """Decide what to send; with `again` also what the agency has or has had already.

    All files are read before: `checked` hears how far that is. Raises PackageInvalid, naming the
    files, for a package that is not what its manifest says, or whose names would not do over there.
    """
    manifest = read_manifest(folder)
    if problems := verify_package(folder, manifest, checked):
        more = f" And {len(problems) - TOLD_PROBLEMS} more." if problems[TOLD_PROBLEMS:] else ""
        raise PackageInvalid(
            f"{folder} is not what its manifest says, and nothing is sent: "
            f"{' '.join(map(str, problems[:TOLD_PROBLEMS]))}{more}"
        )
    files = list(_files(folder, manifest, destination))
    _check_names(files)
    latest = Deliveries(settings).latest()
    why_not = {} if again else no_longer_to_send(latest, [one.delivery for one in files])
    outgoing, left_out = [], []
    for one in files:
        if old := why_not.get(one.delivery.subject):
            left_out.append(_left_out(one.delivery, old))
        else:
            known = latest.get(one.delivery.key)
            if known and known.state in UNSENT:
                one = replace(one, delivery=one.delivery.now(known.state), is_known=True)
            outgoing.append(one)
    return Plan(folder, manifest, destination, tuple(outgoing), tuple(left_out))


def _files(folder: Path, manifest: Manifest, destination: Destination) -> Iterator[Outgoing]:
    """Releases first, then what they are of, then what names all of them."""
    uploads = [one for one in manifest.files if one.goes_by == "upload"]
    tables = [
        one for one in (manifest.table, manifest.checklist) if one and one.goes_by == "upload"
    ]
    entries: Sequence[PackagedFile | PackagedItem] = (*uploads, *manifest.items, *tables)
    for entry in entries:
        name = checked_name(
            (PurePosixPath(entry.folder) / PurePosixPath(entry.file).name).as_posix()
        )
        item = entry if isinstance(entry, PackagedItem) else None
        delivery = Delivery(
            agency=manifest.agency,
            media_id=item.media_id if item else "",
            asset_id=item.asset_id if item else "",
            destination=destination.address,
            package=str(folder),
            file=entry.file,
            sha256=entry.sha256,
            size_bytes=entry.size_bytes,
            master_sha256=item.master_sha256 if item else "",
            state=DeliveryState.PLANNED,
            remote=destination.remote(name),
            by="publish",
            user=destination.user,
        )
        yield Outgoing(folder / entry.file, name, delivery, entry in tables)


def _check_names(files: Sequence[Outgoing]) -> None:
    """Raise PackageInvalid where two files would be one over there."""
    counts = Counter(one.name.casefold() for one in files)
    if twice := [one.delivery.file for one in files if counts[one.name.casefold()] > 1]:
        raise PackageInvalid(
            f"Of {', '.join(twice)} several would have the same name over there. Package again."
        )


def _left_out(wanted: Delivery, old: Delivery) -> Delivery:
    """What is told of a file that is not sent: what is there of it, and how to send it all the same."""
    since = f"since {old.when[:10]} at {old.remote or old.destination}"
    why = f"{wanted.agency} has it {since}"
    if old.state in ENDED:
        said = f" ({old.reason})" if old.reason else ""
        why = f"{wanted.agency} has had these bytes {since}; it is {old.state}{said}"
    return wanted.now(
        old.state,
        sha256=old.sha256,
        size_bytes=old.size_bytes,
        master_sha256=old.master_sha256,
        remote=old.remote,
        verified=old.verified if old.state in THERE else "",
        reason=f"{why}. --again sends it once more.",
        when=old.when,
    )
