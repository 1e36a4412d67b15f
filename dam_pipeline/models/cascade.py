"""MTCNN's cascade: three small networks that propose, sift and settle faces.

The networks and their weights are facenet-pytorch's; the arithmetic between them follows its
`detect_face` (2.5.3) and is written anew because that took two thirds of the time: the pyramid comes
from 8-bit pictures, chips are cut by Pillow, and the networks run with channels last. Boxes are
(left, top, right, bottom, score) in pixels.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import torch

CELL_PX = 12  # what one answer of the first network looks at
STRIDE_PX = 2
FACTOR = 0.709  # from one level of the pyramid to the next
CHIP_PX = (24, 48)  # what the second and the third network look at
CHIPS_AT_ONCE = 256
# Of the networks; a proposal overlaps another by an area shared ÷ area of both, at the end ÷ smaller.
THRESHOLDS = (0.6, 0.7, 0.85)
OVERLAP_LEVEL, OVERLAP = 0.5, 0.7


class Cascade:
    """The three networks on one device; `least_px` is the side of the smallest face looked for."""

    def __init__(self, least_px: float, device: "torch.device") -> None:
        import torch
        from facenet_pytorch import MTCNN

        self._least_px = least_px
        self._device = device
        whole = MTCNN(device=device).eval().requires_grad_(requires_grad=False)
        nets = (whole.pnet, whole.rnet, whole.onet)
        self._propose, self._sift, self._settle = (
            net.to(memory_format=torch.channels_last) for net in nets
        )

    def find(self, pictures: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Boxes (n, 5) and points (n, 5, 2) of each picture (h, w, 3) uint8, in no order.

        The second and third network see the chips of all pictures together.
        """
        images = [Image.fromarray(picture) for picture in pictures]
        boxes = [self._proposals(picture) for picture in pictures]
        boxes, _ = self._judged(images, boxes, 0)
        return list(zip(*self._judged(images, boxes, 1), strict=True))

    def _proposals(self, picture: np.ndarray) -> np.ndarray:
        """Square boxes that may hold a face."""
        import torch

        found = [np.zeros((0, 9), np.float32)]
        for scale, level in _pyramid(picture, CELL_PX / self._least_px):
            with torch.inference_mode():
                moves, chances = self._propose(_normal(level, self._device))
            rows = _cells(chances[0, 1].cpu().numpy(), moves[0].cpu().numpy(), scale)
            found.append(rows[_apart(rows, OVERLAP_LEVEL)])
        boxes = np.concatenate(found)
        boxes = boxes[_apart(boxes, OVERLAP)]
        sides = np.tile(boxes[:, 2:4] - boxes[:, :2], 2)
        return _squared(np.hstack([boxes[:, :4] + boxes[:, 5:] * sides, boxes[:, 4:5]]))

    def _judged(
        self, images: Sequence[Image.Image], boxes: Sequence[np.ndarray], stage: int
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The boxes that the second or third network lets pass, moved, and their points."""
        size = CHIP_PX[stage]
        kept = [b[_inside(b, i.size)] for b, i in zip(boxes, images, strict=True)]
        chips = [_chip(i, b, size) for i, mine in zip(images, kept, strict=True) for b in mine]
        answers = self._answers(chips, stage)
        ends = np.cumsum([len(mine) for mine in kept])[:-1]
        parts = zip(kept, *(np.split(answer, ends) for answer in answers), strict=True)
        judge = _sifted if stage == 0 else _settled
        judged = [judge(*part) for part in parts]
        return [one for one, _ in judged], [points for _, points in judged]

    def _answers(self, chips: Sequence[np.ndarray], stage: int) -> list[np.ndarray]:
        """Moves (n, 4), points (n, 10) and chances (n,) of chips; the sifter's points are zeros."""
        import torch

        found = [(np.zeros((0, 4)), np.zeros((0, 10)), np.zeros(0))]
        for at in range(0, len(chips), CHIPS_AT_ONCE):
            pixels = torch.from_numpy(np.stack(chips[at : at + CHIPS_AT_ONCE])).permute(0, 3, 1, 2)
            with torch.inference_mode():
                net = self._settle if stage else self._sift
                moves, *points, chances = (
                    part.cpu().numpy() for part in net(_normal(pixels, self._device))
                )
            found.append(
                (moves, points[0] if points else np.zeros((len(moves), 10)), chances[:, 1])
            )
        return [np.concatenate(parts).astype(np.float32) for parts in zip(*found, strict=True)]


def _pyramid(picture: np.ndarray, scale: float) -> Iterator[tuple[float, "torch.Tensor"]]:
    """Scales and pictures (1, 3, h, w) uint8, from the largest to the last that holds a cell.

    Each level is made from the one two before it, of twice its size, and the first two from the
    picture: never from all its pixels again.
    """
    import torch
    from torch.nn.functional import interpolate

    height, width = picture.shape[:2]
    writable = np.require(picture, requirements=["C", "W"])  # torch warns of any other
    source = torch.from_numpy(writable).permute(2, 0, 1)[None]
    sources = [source, source]
    while min(height, width) * scale >= CELL_PX:
        size = (int(height * scale + 1), int(width * scale + 1))
        level = interpolate(sources[0], size=size, mode="bilinear", antialias=True)
        sources = [sources[1], level]
        yield scale, level
        scale *= FACTOR


def _normal(pixels: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
    return pixels.to(device).float().sub_(127.5).mul_(0.0078125)


def _cells(chances: np.ndarray, moves: np.ndarray, scale: float) -> np.ndarray:
    """Rows (box, score, moves) of the cells that the first network lets pass."""
    y, x = np.nonzero(chances >= THRESHOLDS[0])
    corner = STRIDE_PX * np.stack([x, y], 1)
    lows, highs = np.floor((corner + 1) / scale), np.floor((corner + CELL_PX) / scale)
    columns = [lows, highs, chances[y, x][:, None], moves[:, y, x].T]
    return np.hstack(columns).astype(np.float32)


def _sifted(
    boxes: np.ndarray, moves: np.ndarray, points: np.ndarray, chances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    passed = chances > THRESHOLDS[1]
    boxes = np.hstack([boxes[passed, :4], chances[passed, None]])
    apart = _apart(boxes, OVERLAP)
    return _squared(_moved(boxes[apart], moves[passed][apart])), points[passed][apart]


def _settled(
    boxes: np.ndarray, moves: np.ndarray, points: np.ndarray, chances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    passed = chances > THRESHOLDS[2]
    boxes = np.hstack([boxes[passed, :4], chances[passed, None]])
    sides = boxes[:, None, 2:4] - boxes[:, None, :2] + 1
    places = points[passed].reshape(-1, 2, 5).transpose(0, 2, 1) * sides + boxes[:, None, :2] - 1
    boxes = _moved(boxes, moves[passed])
    apart = _apart_of_smaller(boxes, OVERLAP)
    return boxes[apart], places[apart]


def _moved(boxes: np.ndarray, moves: np.ndarray) -> np.ndarray:
    sides = np.tile(boxes[:, 2:4] - boxes[:, :2] + 1, 2)
    return np.hstack([boxes[:, :4] + moves * sides, boxes[:, 4:]])


def _squared(boxes: np.ndarray) -> np.ndarray:
    """Boxes made square around their middles."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    side = sides.max(axis=1, keepdims=True, initial=0)
    lows = boxes[:, :2] + (sides - side) / 2
    return np.hstack([lows, lows + side, boxes[:, 4:]])


def _edges(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whole pixels of boxes, cut at the picture's edges, as the original counts them."""
    whole = np.trunc(boxes[..., :4])
    lows = np.maximum(whole[..., :2], 1) - 1
    return np.concatenate([lows, np.minimum(whole[..., 2:], size)], axis=-1)


def _inside(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    edges = _edges(boxes, size)
    inside: np.ndarray = np.all(edges[:, 2:] > edges[:, :2], axis=1)
    return inside


def _chip(image: Image.Image, box: np.ndarray, size: int) -> np.ndarray:
    left, top, right, bottom = _edges(box, image.size).tolist()
    area = (left, top, right, bottom)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX, box=area))


def _apart(boxes: np.ndarray, overlap: float) -> np.ndarray:
    """Indexes of the best boxes that overlap no better one by more than so much, best first."""
    import torch
    from torchvision.ops import nms

    kept: Any = nms(torch.from_numpy(boxes[:, :4]), torch.from_numpy(boxes[:, 4]), overlap)
    return np.asarray(kept.numpy())


def _apart_of_smaller(boxes: np.ndarray, overlap: float) -> np.ndarray:
    """As `_apart`, but the overlap is counted against the smaller of the two boxes."""
    areas = np.prod(boxes[:, 2:4] - boxes[:, :2] + 1, axis=1)
    order, kept = np.argsort(-boxes[:, 4], kind="stable"), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        lows = np.maximum(boxes[best, :2], boxes[order, :2])
        highs = np.minimum(boxes[best, 2:4], boxes[order, 2:4])
        shared = np.clip(highs - lows + 1, 0, None).prod(axis=1)
        order = order[shared / np.minimum(areas[best], areas[order]) <= overlap]
    return np.array(kept, int)
