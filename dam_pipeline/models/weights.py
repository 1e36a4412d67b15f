"""`dam models`: which weights there are, bringing them in, checking them.

All that writes weights is here and in `joining`; finding them is `locate`'s, downloading
`fetching`'s. Nothing here loads a network.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.errors import ConfigurationError, WeightsMismatch
from dam_pipeline.models.fetching import download
from dam_pipeline.models.joining import concatenate
from dam_pipeline.models.known import FORM_KIND, KINDS, KNOWN, Form, KnownModel
from dam_pipeline.models.locate import (
    HF_WEIGHTS,
    ORIGIN_FILE,
    Found,
    advice,
    find,
    read_config,
    recognise,
    slug,
    wanted,
    weights_files,
)
from dam_pipeline.models.manifest import read_sha256, remember
from dam_pipeline.models.staging import staged, write_origin
from dam_pipeline.settings import Settings

_COPIED = (".json", ".txt", ".safetensors", ".bin", ".pt", ".pth", ".dat", ".model")
_SEARCH_DEPTH = 4  # folders below the one that is imported; a hub's cache nests three
# config.json of CLIP ViT-B/32, by which a folder is known as that network
_VIT_B32 = {"patch_size": 32, "hidden_size": 768, "num_hidden_layers": 12, "image_size": 224}


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model as `dam models list` shows it; `used` under the present settings."""

    name: str
    kind: str
    profiles: tuple[str, ...]
    present: bool
    path: str
    sha256: str
    licence: str
    source: str
    used: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `dam models verify` found; `reason` is empty when all is well."""

    name: str
    path: str
    ok: bool
    reason: str = ""


def list_models(settings: Settings) -> list[ModelStatus]:
    """Every known model and every other that was imported or that the settings name."""
    return [_status(name, settings) for name in _names(settings)]


def fetch(
    name: str, settings: Settings, on_progress: Callable[[float], None] | None = None
) -> ModelStatus:
    """Download a known model into the folder of weights; one that is here and right is left.

    Raises ConfigurationError for a name that cannot be downloaded, WeightsMissing without a
    network, WeightsMismatch when what came is not what is published.
    """
    known = KNOWN.get(name)
    if known is None or not known.is_downloadable:
        names = ", ".join(m.name for m in KNOWN.values() if m.is_downloadable)
        raise ConfigurationError(
            f"{name} cannot be downloaded; those that can: {names}."
            if known is None
            else advice(name, known.kind)
        )
    here = find(name, settings)
    if here is None or _fault(here):
        with staged(settings.weights_dir / name, replaces=True) as folder:
            download(known, folder, on_progress or (lambda share: None))
            _accept(folder, known)
    return _status(name, settings)


def import_folder(folder: Path, settings: Settings, name: str | None = None) -> ModelStatus:
    """Copy weights from a folder (or file) into the folder of weights, under a known name if any.

    The form is recognised by the files: a transformers CLIP or MiniLM folder, a whisper `.pt`, a
    CTranslate2 folder, a FaceNet `.pt`, a dlib folder. Raises ConfigurationError for anything else.
    """
    path = _recognised(folder.expanduser())
    form = recognise(path)
    if form is None:  # `_recognised` gave a path of a form; the file vanished meanwhile
        raise ConfigurationError(f"{path} can no longer be read.")
    files = weights_files(path, form)
    hashes = {file.name: read_sha256(file) for file in files}
    name = name or _guess(path, form, hashes)
    known = KNOWN.get(name)
    _check_name(name, form, hashes)
    is_published = bool(known and hashes.items() <= dict(known.sha256).items())
    revision = known.revision if known and is_published else "imported"
    target = settings.weights_dir / name
    if path.resolve() != target.resolve():
        with staged(target, replaces=True) as own:
            for file in _to_copy(path, files):
                shutil.copyfile(file, own / file.name)
            write_origin(own, name, form, revision, str(path), hashes)
        for file in files:
            remember(target / file.name, hashes[file.name], settings.weights_dir)
    return _status(name, settings)


def verify(settings: Settings) -> list[Verdict]:
    """Read every model that is here again and compare with the published or recorded hashes."""
    verdicts = []
    for name in _names(settings):
        found = find(name, settings)
        if found:
            fault = _fault(found)
            verdicts.append(Verdict(found.name, str(found.path), not fault, fault))
    return verdicts


def _names(settings: Settings) -> list[str]:
    """Known names, then imported ones, then paths that the settings name."""
    names = list(KNOWN)
    if settings.weights_dir.is_dir():
        folders = sorted(p.name for p in settings.weights_dir.iterdir() if p.is_dir())
        names += [n for n in folders if n not in KNOWN and not n.startswith(".")]
    names += [asked for kind in KINDS if (asked := wanted(settings, kind)) not in names]
    return [name for name in names if name in KNOWN or find(name, settings)]


def _status(name: str, settings: Settings) -> ModelStatus:
    known, found = KNOWN.get(name), find(name, settings)
    form = found.form if found else known.form if known else Form.CLIP
    origin = _origin(found) if found else {}
    return ModelStatus(
        name=name,
        kind=FORM_KIND[form],
        profiles=known.profiles if known else (),
        present=found is not None,
        path=str(found.path) if found else "",
        sha256=found.ref(settings).weights_sha256 if found else "",
        licence=known.licence if known else "unknown",
        source=known.source if known else str(origin.get("source", "")),
        used=name in [wanted(settings, kind) for kind in KINDS],
    )


def _fault(found: Found) -> str:
    """What is wrong with the weights, read now; empty when nothing is."""
    if found.is_in_parts:
        actual = {"model.bin": concatenate(found.files, None)}
    else:
        actual = {file.name: read_sha256(file) for file in found.files}
    recorded = _origin(found).get("sha256")
    expected = dict(recorded) if isinstance(recorded, dict) else {}
    expected |= dict(found.known.sha256) if found.known else {}
    for name, digest in actual.items():
        if expected.get(name, digest) != digest:
            return f"{name} has the hash {digest}, not {expected[name]}; bring it again."
    return ""


def _origin(found: Found) -> dict[str, object]:
    folder = found.path if found.path.is_dir() else found.path.parent
    try:
        origin = json.loads((folder / ORIGIN_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return origin if isinstance(origin, dict) else {}


def _accept(folder: Path, known: KnownModel) -> None:
    """Check what was downloaded and note its origin; raises WeightsMismatch."""
    if recognise(folder) is not known.form:
        raise WeightsMismatch(f"{known.source} did not give a {known.form}; try again later.")
    hashes = {f.name: read_sha256(f) for f in weights_files(folder, known.form)}
    for name, digest in hashes.items():
        if known.sha256.get(name, digest) != digest:
            raise WeightsMismatch(
                f"{name} from {known.source} has the hash {digest}, not the published "
                f"{known.sha256[name]}; it was thrown away. Try again."
            )
    write_origin(folder, known.name, known.form, known.revision, known.source, hashes)


def _recognised(path: Path) -> Path:
    """The path itself, or the one folder below it that holds weights of a form that is read."""
    if not path.exists():
        raise ConfigurationError(f"There is no folder {path}; give the folder of the weights.")
    if recognise(path):
        return path
    below = [p.parent for p in path.rglob("*") if p.is_file()] if path.is_dir() else []
    near = {p for p in below if len(p.relative_to(path).parts) <= _SEARCH_DEPTH}
    found = sorted(p for p in near if recognise(p))
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(
            f"{path} holds several models; import one: {', '.join(str(p) for p in found)}."
        )
    forms = ", ".join(form.value for form in Form)
    raise ConfigurationError(f"{path} holds no weights of a form that is read here: {forms}.")


def _guess(path: Path, form: Form, hashes: dict[str, str]) -> str:
    """A known name by hash or by the network's sizes; otherwise the name of the folder or file."""
    for known in KNOWN.values():
        if known.form is form and set(hashes.values()) & set(known.sha256.values()):
            return known.name
    config = read_config(path)
    if form is Form.CLIP and _is_vit_b32(config):
        weights = next(iter(hashes))
        if weights not in KNOWN["clip-vit-b32"].sha256:
            return "clip-vit-b32"
    if form is Form.MINILM and config.get("hidden_size") == 384:
        return "minilm"
    return slug(path.stem if path.is_file() else path.name)


def _is_vit_b32(config: dict[str, object]) -> bool:
    vision = config.get("vision_config")
    if config.get("model_type") != "clip" or not isinstance(vision, dict):
        return False
    # A saved config.json leaves out what is the default, and the default is ViT-B/32.
    return all(vision.get(key, value) == value for key, value in _VIT_B32.items())


def _check_name(name: str, form: Form, hashes: dict[str, str]) -> None:
    if slug(name) != name:
        raise ConfigurationError(f"{name} cannot be a model's name; {slug(name)} can.")
    known = KNOWN.get(name)
    if known and known.form is not form:
        raise ConfigurationError(f"{name} is a {known.form}, but this is a {form}; name it else.")
    for file, digest in hashes.items():
        if known and known.sha256.get(file, digest) != digest:
            raise WeightsMismatch(
                f"{file} is not the published {name} (hash {digest}); import it under another "
                f"name and set that name in the settings."
            )


def _to_copy(path: Path, files: tuple[Path, ...]) -> list[Path]:
    """The weights and the small files beside them, without the same weights in other formats."""
    if path.is_file():
        return [path]
    kept = [p for p in sorted(path.iterdir()) if p.is_file() and p.suffix in _COPIED]
    return [p for p in kept if p.name != ORIGIN_FILE and (p in files or p.name not in HF_WEIGHTS)]
