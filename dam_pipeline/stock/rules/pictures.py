"""Rules on the size of pictures, still or moving. They are made smaller where that helps, never larger."""

from collections.abc import Iterator
from math import sqrt

from dam_pipeline.agencies.agency import MediaRules
from dam_pipeline.records import MediaKind
from dam_pipeline.stock.rules.formats import encoded
from dam_pipeline.stock.rules.rule import Case, Said, Wrong, rule

Size = tuple[int, int]
LARGER = "Take the original in full size, and `dam ingest` it: pictures are never made larger here."


@rule("error")
def picture_too_small(case: Case) -> Iterator[Said]:
    """Pictures have the width, height and megapixels that the agency asks for, upright or across."""
    size = _size(case)
    if size and (asked := _below(case.form, size)):
        message = f"It has {_told(size)}, {case.agency.name} asks for at least {asked}."
        yield Wrong(message, LARGER)


@rule("error", "fix")
def picture_too_large(case: Case) -> Iterator[Said]:
    """Pictures over the width, height or megapixels that the agency takes are made smaller."""
    size, form = _size(case), case.form
    if not size or (share := _share(form, size)) >= 1:
        return
    step = 2 if form.is_even_size or case.item.probe.kind is MediaKind.VIDEO else 1
    smaller = (_stepped(size[0] * share, step), _stepped(size[1] * share, step))
    what = f"{case.agency.name} takes smaller pictures"
    if asked := _below(form, smaller):
        message = f"{what}: {_told(smaller)}, but at least {asked}; this is {_told(size)}."
        yield Wrong(message, "Crop it to a less narrow form, and `dam ingest` the copy.")
        return
    width, height = smaller
    yield encoded(case, what, _told(size), _told(smaller), width=width, height=height)


@rule("error", "fix")
def odd_size(case: Case) -> Iterator[Said]:
    """Width and height are even where the agency asks for it; a last odd line is cut off."""
    size = _size(case)
    if not case.form.is_even_size or not size or not (size[0] % 2 or size[1] % 2):
        return
    width, height = even = (size[0] - size[0] % 2, size[1] - size[1] % 2)
    what = f"{case.agency.name} takes even sizes"
    yield encoded(case, what, _told(size), _told(even), width=width, height=height)


@rule("error")
def camera_unnamed(case: Case) -> Iterator[Said]:
    """The file names make and model of the camera where the agency looks for them."""
    if case.form.needs_camera and not case.item.probe.camera:
        message = f"{case.agency.name} looks for the camera's make and model, which the file lacks."
        yield Wrong(message, "Export it with its camera metadata, and `dam ingest` the copy.")


RULES = (picture_too_small, picture_too_large, odd_size, camera_unnamed)


def _size(case: Case) -> Size | None:
    """Width and height as the deliverable has them so far; None without a picture."""
    probe, made = case.item.probe, case.rendition
    size = (made.width or probe.width, made.height or probe.height)
    return size if probe.has_picture and all(size) else None


def _limits(form: MediaRules, size: Size) -> tuple[Size, Size]:
    """Least and greatest size, turned as the picture is: the rules are written for wide ones."""
    least, most = (form.min_width, form.min_height), (form.max_width, form.max_height)
    if size[1] > size[0]:
        return (min(least), max(least)), (min(most), max(most))
    return least, most


def _below(form: MediaRules, size: Size) -> str:
    """What is asked for and not reached; empty when all is."""
    least, _ = _limits(form, size)
    if size[0] < least[0] or size[1] < least[1]:
        return " × ".join(str(one or "any") for one in least)
    is_small = form.min_megapixels and size[0] * size[1] < form.min_megapixels * 1e6
    return f"{form.min_megapixels:g} megapixels" if is_small else ""


def _share(form: MediaRules, size: Size) -> float:
    """By what the sides are multiplied to be within the limits; 1 where they are."""
    _, most = _limits(form, size)
    shares = [limit / side for limit, side in zip(most, size, strict=True) if limit]
    if form.max_megapixels:
        shares.append(sqrt(form.max_megapixels * 1e6 / (size[0] * size[1])))
    return min([1.0, *shares])


def _stepped(value: float, step: int) -> int:
    return max(step, int(value + 1e-9) // step * step)


def _told(size: Size) -> str:
    return f"{size[0]} × {size[1]} ({size[0] * size[1] / 1e6:.1f} megapixels)"
