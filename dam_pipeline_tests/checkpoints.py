"""Small checkpoints in the forms of real ones, and what `dam models list` says of them."""

import json
from pathlib import Path

import torch
from facenet_pytorch import InceptionResnetV1
from safetensors.torch import save_file

from dam_pipeline.models import weights
from dam_pipeline.settings import Settings


def clip_folder(folder: Path, vision: dict[str, int]) -> Path:
    """A folder that looks like CLIP; its weights are two numbers."""
    folder.mkdir(parents=True)
    config = {"model_type": "clip", "projection_dim": 512, "vision_config": vision}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"x": torch.ones(2)}, folder / "model.safetensors")
    (folder / "tf_model.h5").write_bytes(b"the same weights in a form that nothing here reads")
    return folder


def facenet_file(path: Path) -> Path:
    """FaceNet with random weights, always the same."""
    torch.manual_seed(0)
    torch.save(InceptionResnetV1(pretrained=None, classify=False).state_dict(), path)
    return path


def status_of(settings: Settings, name: str) -> weights.ModelStatus:
    """A model's line of `dam models list`."""
    return next(row for row in weights.list_models(settings) if row.name == name)
