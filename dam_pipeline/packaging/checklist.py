"""CHECKLIST.md: what a person does with a package, and what they should know before."""

from collections import Counter
from collections.abc import Iterator, Sequence

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.packaging.manifest import Manifest, PackagedItem
from dam_pipeline.stock.record import Submission

CHECKLIST_FILE = "CHECKLIST.md"
NAMED = 5  # files that a warning names
SURE = {
    "A": "the agency's own pages",
    "B": "several sources that do not depend on each other, not the agency's own pages",
    "C": "one source that is not the agency's: look whether it still holds",
}


def checklist(agency: Agency, manifest: Manifest, submissions: Sequence[Submission]) -> str:
    """The checklist of a package as Markdown; the same package has the same one."""
    return "\n".join(_lines(agency, manifest, submissions)) + "\n"


def _lines(agency: Agency, manifest: Manifest, submissions: Sequence[Submission]) -> Iterator[str]:
    yield f"# {agency.name}: {_count(len(manifest.items), 'item')}"
    yield ""
    yield f"Rules of version {agency.version}, read on {agency.verified_on}: {SURE[agency.confidence]}."
    yield ""
    yield "## To do"
    yield ""
    yield from (f"- [ ] {_plain(step)}" for step in _steps(agency, manifest))
    yield from _contents(manifest)
    if manifest.table is None:
        yield from _items(manifest, submissions)
    yield from _section("Releases", _releases(manifest))
    editorial = [one.file_name for one in submissions if one.usage == "editorial"]
    yield from _section("For editorial use only", editorial)
    generated = [one.file_name for one in submissions if one.is_generated]
    yield from _section("Made with generative tools", generated)
    yield from _section("Left out", _left_out(manifest))
    yield from _section("To know", _warnings(agency, manifest))


def _steps(agency: Agency, manifest: Manifest) -> Iterator[str]:
    if manifest.left_out:
        yield f"Look at what was left out below ({len(manifest.left_out)})."
    advised = agency.batch.advised_items
    if advised and len(manifest.items) > advised:
        yield f"{agency.name} advises at most {advised} items at once; this package has more."
    if agency.transport.schemes:
        schemes = ", ".join(agency.transport.schemes)
        yield f"Send the files: `dam stock publish` ({schemes}). {agency.transport.login_help}".strip()
    files = [*([manifest.table] if manifest.table else []), *manifest.files]
    by_hand = [one.file for one in files if one.goes_by == "portal"]
    if by_hand:
        yield f"Bring to the portal yourself: {', '.join(f'`{one}`' for one in by_hand)}"
    yield from agency.human_steps
    yield "Enter what the agency decides: `dam stock deliveries`."


def _contents(manifest: Manifest) -> Iterator[str]:
    usages = Counter(one.usage or "usage not said" for one in manifest.items)
    ways = Counter(str(one.rendition.get("how")) for one in manifest.items)
    with_release = sum(bool(one.releases) for one in manifest.items)
    size_bytes = sum(one.size_bytes for one in manifest.items)
    yield from _section(
        "What is in it",
        [
            f"{_count(len(manifest.items), 'file')} in `media/`, {size_bytes:,} bytes together",
            f"by use: {_told(usages)}",
            f"made by: {_told(ways)}",
            f"{with_release} with releases, {len(manifest.items) - with_release} without",
            f"table: `{manifest.table.file}`" if manifest.table else "no table",
        ],
    )


def _items(manifest: Manifest, submissions: Sequence[Submission]) -> Iterator[str]:
    """What a person copies into the portal, where no table says it; texts are indented, so as they are."""
    yield from ("", "## Items")
    for number, (item, said) in enumerate(zip(manifest.items, submissions, strict=True), start=1):
        yield from ("", f"### {number}. `{item.file}`")
        texts = {
            "Title": said.title,
            "Description": said.description,
            "Keywords": ", ".join(said.keywords),
            "Categories": ", ".join(said.categories),
        }
        for heading, text in texts.items():
            if text:
                yield from ("", f"{heading}:", "")
                yield from (f"    {line}".rstrip() for line in text.splitlines())
        if item.releases:
            names = ", ".join(dict.fromkeys(one.name for one in said.releases if one.name))
            files = ", ".join(f"`{file}`" for file in item.releases)
            yield from ("", f"Releases: {files}{f' ({names})' if names else ''}")


def _left_out(manifest: Manifest) -> list[str]:
    return [
        f"{one.partition_key}: "
        + "; ".join(_plain(f"{error['message']} {error['fix']}") for error in one.errors)
        for one in manifest.left_out
    ]


def _releases(manifest: Manifest) -> list[str]:
    files: dict[str, list[str]] = {}
    for item in manifest.items:
        for release in item.releases:
            files.setdefault(release, []).append(_name(item))
    return [f"`{release}`: {', '.join(names)}" for release, names in files.items()]


def _warnings(agency: Agency, manifest: Manifest) -> list[str]:
    """The agency's notes, and what holds for which files."""
    files: dict[str, list[str]] = {}
    for item in manifest.items:
        for warning in item.warnings:
            files.setdefault(_plain(str(warning["message"])), []).append(_name(item))
    told = [f"{message} ({_some(names)})" for message, names in files.items()]
    return [*map(_plain, agency.notes), *told]


def _some(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _name(item: PackagedItem) -> str:
    return item.file.rpartition("/")[2]


def _section(heading: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"## {heading}", "")
        yield from (f"- {line}" for line in lines)


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "nothing"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _plain(text: str) -> str:
    return " ".join(text.split())
