"""The Dagster project that one would write first; `bench_obvious` runs it as what ours is held against."""

import json
import os
from pathlib import Path

import dagster as dg

FILES_PARTITIONS = dg.DynamicPartitionsDefinition(name="files")


def _folder(context: dg.AssetExecutionContext) -> Path:
    folder = Path(json.loads(os.environ["OBVIOUS"])["folder"]) / "results" / context.partition_key
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dg.asset(partitions_def=FILES_PARTITIONS)
def probe(context: dg.AssetExecutionContext) -> None:
    """What ffprobe says of the file."""
    import ffmpeg

    found = ffmpeg.probe(context.run.tags["path"])
    (_folder(context) / "probe.json").write_text(json.dumps(found))


@dg.asset(partitions_def=FILES_PARTITIONS, deps=[probe])
def shots(context: dg.AssetExecutionContext) -> None:
    """The cuts, by PySceneDetect."""
    from scenedetect import AdaptiveDetector, detect

    path = context.run.tags["path"]
    found = [] if path.endswith(".jpg") else detect(path, AdaptiveDetector())
    spans = [(start.seconds, end.seconds) for start, end in found]
    (_folder(context) / "shots.json").write_text(json.dumps(spans))


@dg.asset(partitions_def=FILES_PARTITIONS, deps=[shots])
def keyframes(context: dg.AssetExecutionContext) -> None:
    """A picture from the middle of each shot, or the photograph itself."""
    import cv2
    from PIL import Image

    folder, path = _folder(context), context.run.tags["path"]
    if path.endswith(".jpg"):
        with Image.open(path) as picture:
            picture.convert("RGB").save(folder / "keyframe-0.jpg")
        return
    video = cv2.VideoCapture(path)
    spans = json.loads((folder / "shots.json").read_text()) or [(0.0, 0.0)]
    for number, (start_s, end_s) in enumerate(spans):
        video.set(cv2.CAP_PROP_POS_MSEC, (start_s + end_s) * 500)
        found, picture = video.read()
        if found:
            cv2.imwrite(str(folder / f"keyframe-{number}.jpg"), picture)


@dg.asset(partitions_def=FILES_PARTITIONS, deps=[keyframes])
def embeddings(context: dg.AssetExecutionContext) -> None:
    """A CLIP vector for each picture."""
    import numpy as np
    import torch
    from PIL import Image
    from transformers import AutoModel, AutoProcessor

    folder = _folder(context)
    model_folder = json.loads(os.environ["OBVIOUS"])["model"]
    model = AutoModel.from_pretrained(model_folder).eval()
    processor = AutoProcessor.from_pretrained(model_folder)
    pictures = [Image.open(path).convert("RGB") for path in sorted(folder.glob("*.jpg"))]
    with torch.inference_mode():
        inputs = processor.image_processor(pictures, return_tensors="pt")
        np.save(folder / "vectors.npy", model.get_image_features(**inputs).pooler_output.numpy())


@dg.asset(partitions_def=FILES_PARTITIONS)
def checksum(context: dg.AssetExecutionContext) -> None:
    """SHA-256 of the file."""
    import hashlib

    digest = hashlib.sha256(Path(context.run.tags["path"]).read_bytes()).hexdigest()
    (_folder(context) / "checksum.txt").write_text(digest)


@dg.asset(partitions_def=FILES_PARTITIONS, deps=[keyframes])
def poster(context: dg.AssetExecutionContext) -> None:
    """The first picture, small."""
    from PIL import Image

    folder = _folder(context)
    with Image.open(folder / "keyframe-0.jpg") as picture:
        picture.thumbnail((640, 640))
        picture.save(folder / "poster.png")


@dg.asset(partitions_def=FILES_PARTITIONS, deps=[probe])
def fingerprints(context: dg.AssetExecutionContext) -> None:
    """A tiny grey picture of every frame that OpenCV reads."""
    import cv2
    import numpy as np

    video, prints = cv2.VideoCapture(context.run.tags["path"]), []
    found, picture = video.read()
    while found:
        prints.append(cv2.cvtColor(cv2.resize(picture, (16, 16)), cv2.COLOR_BGR2GRAY))
        found, picture = video.read()
    np.save(_folder(context) / "prints.npy", np.asarray(prints))


@dg.asset(partitions_def=FILES_PARTITIONS, deps=[embeddings])
def tags(context: dg.AssetExecutionContext) -> None:
    """Cosines of the pictures with some words."""
    import numpy as np
    import torch
    from transformers import AutoModel, AutoProcessor

    folder = _folder(context)
    model_folder = json.loads(os.environ["OBVIOUS"])["model"]
    model = AutoModel.from_pretrained(model_folder).eval()
    words = ["circle", "square", "red", "blue"] * 50
    with torch.inference_mode():
        inputs = AutoProcessor.from_pretrained(model_folder).tokenizer(
            words, padding=True, return_tensors="pt"
        )
        names = ("input_ids", "attention_mask")
        texts = model.get_text_features(**{name: inputs[name] for name in names})
    np.save(folder / "tags.npy", np.load(folder / "vectors.npy") @ texts.pooler_output.numpy().T)


@dg.asset(partitions_def=FILES_PARTITIONS, deps=[shots, embeddings])
def scenes(context: dg.AssetExecutionContext) -> None:
    """How alike the pictures of the shots are."""
    import numpy as np

    folder = _folder(context)
    vectors = np.load(folder / "vectors.npy")
    np.save(folder / "scenes.npy", vectors @ vectors.T)


@dg.asset(partitions_def=FILES_PARTITIONS, deps=[embeddings])
def search_index(context: dg.AssetExecutionContext) -> None:
    """The vectors in LanceDB."""
    import lancedb
    import numpy as np

    folder = _folder(context)
    database = lancedb.connect(folder.parent.parent / "lancedb")
    rows = [
        {"file": context.partition_key, "vector": one} for one in np.load(folder / "vectors.npy")
    ]
    if "vectors" in database.list_tables().tables:
        database.open_table("vectors").add(rows)
    else:
        database.create_table("vectors", rows)


_definitions = dg.Definitions(
    assets=[
        *(probe, checksum, poster, shots, keyframes, fingerprints),
        *(embeddings, tags, scenes, search_index),
    ],
    jobs=[dg.define_asset_job("obvious")],
)


def obvious_job() -> dg.JobDefinition:
    """All assets of one file, on Dagster's default executor."""
    return _definitions.resolve_job_def("obvious")
