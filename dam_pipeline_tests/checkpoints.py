"""Small checkpoints in the forms of real ones, and what `dam models list` says of them."""

import json
import shutil
from pathlib import Path

import torch
from facenet_pytorch import InceptionResnetV1
from safetensors.torch import load_file, save_file

from dam_pipeline.models import weights
from dam_pipeline.models.locate import locate, package_path
from dam_pipeline.settings import Settings


def clip_folder(folder: Path, vision: dict[str, int]) -> Path:
    """A folder that looks like CLIP; its weights are two numbers."""
    folder.mkdir(parents=True)
    config = {"model_type": "clip", "projection_dim": 512, "vision_config": vision}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"x": torch.ones(2)}, folder / "model.safetensors")
    (folder / "tf_model.h5").write_bytes(b"the same weights in a form that nothing here reads")
    return folder


def tiny_clip_again(folder: Path, *, trained: bool) -> Path:
    """The bundled tiny CLIP under other weights, so another space: nearly the same, or random ones."""
    package = package_path("dam_pipeline")
    assert package is not None
    shutil.copytree(package / "models/weights/tiny-clip", folder)
    for name in ("dam_background.npz", "figures.json", "README.md"):
        (folder / name).unlink()
    tensors = load_file(folder / "model.safetensors")
    maker = torch.Generator().manual_seed(7)
    for name, values in tensors.items():
        if values.is_floating_point():
            noise = torch.randn(values.shape, generator=maker) * values.std(correction=0)
            tensors[name] = values + noise * 1e-3 if trained else noise
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def sentence_model_again(settings: Settings, folder: Path) -> Path:
    """The sentence model of the settings under other weights, so another space."""
    shutil.copytree(locate(settings, "sentence").path, folder)
    path = folder / "model.safetensors"
    tensors = {name: values * 1.001 for name, values in load_file(path).items()}
    save_file(tensors, path, {"format": "pt"})
    return folder


def facenet_file(path: Path) -> Path:
    """FaceNet with random weights, always the same."""
    torch.manual_seed(0)
    torch.save(InceptionResnetV1(pretrained=None, classify=False).state_dict(), path)
    return path


def status_of(settings: Settings, name: str) -> weights.ModelStatus:
    """A model's line of `dam models list`."""
    return next(row for row in weights.list_models(settings) if row.name == name)
