"""What does the tiny CLIP that ships with the project know of scenes it was never trained on?

All combinations of count, colour, shape and background that its training held out, drawn afresh at four
sizes and spoilt as cameras and codecs do. The wording and the drawing code are those of the training, so
this is held-out combinations, not photographs. `--folder` measures another checkpoint, such as one that
`python -m dam_pipeline.training.tiny_clip` has just written.
"""

import argparse
from pathlib import Path

from figures import keep

import dam_pipeline
from dam_pipeline.training.measurement import Encoder, measure
from dam_pipeline.training.tiny_clip import split_scenes

SHIPPED = Path(dam_pipeline.__file__).parent / "models" / "weights" / "tiny-clip"


def main() -> None:
    """Measure, tell and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    options = parser.parse_args()
    scenes = split_scenes()[1]
    found = measure(Encoder(options.folder), scenes)
    size_mb = sum(path.stat().st_size for path in options.folder.iterdir()) / 1e6
    figures = {
        "recall_at_1": found.recall_at_1,
        "recall_at_5": found.recall_at_5,
        **{f"first_has_right_{name}": share for name, share in found.top_picture_right.items()},
        "size_mb": size_mb,
    }
    keep("tiny_clip", figures, f"{len(scenes)} combinations never trained on, four pictures each")


if __name__ == "__main__":
    main()
