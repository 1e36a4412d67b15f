"""What a run of aligned prints proves: whether two media show one thing, or only one slate.

What stands still proves little, so a slate, bars, a logo or an end card that two films share never
makes them copies; movement that agrees does. Numbers were chosen on the drawn films of
benchmarks/accuracy/near_duplicates.py, seed 1.
"""

import numpy as np
from numpy.typing import NDArray

from dam_pipeline.graph.print_vectors import LEAST_LENGTH, Vectors, cosines, lengths_of

LEAST_PRINTS = 4  # of a stretch, and of movement in a row: two seconds
LEAST_QUALITY = 0.75  # mean likeness of the prints of a stretch
LEAST_AGREED = 0.7  # share of the movement that must be the same on both sides
SAME_MOVE, OTHER_MOVE = 0.5, 0.3  # cosines of two changes: the same, another
SURE_MOVE = 0.9  # cosine of the whole movement that two takes do not reach, logos or not
SURE_ALIKE = 0.93  # mean likeness of pictures that lets movement be as far apart as
FAIR_MOVE = 0.75
COVERED_SHARE = 0.85  # of one media: then it is enough that likeness and movement come to
COVERED_SUM = 1.65
MOST_MOVING = 0.25  # share of the prints of what is called a still
LEAST_MOVES = 2  # in a media so short that there are no more
FADE = 0.95  # cosine of a change with the picture itself: it grows brighter or darker, no more
SAME_STILL = 0.85  # cosine of two prints without movement
LEAST_STILLS = 3  # pictures in the same order, where nothing moves
WHOLE_SHARE = 0.6  # of both media: then one still picture may be enough
LEAST_DETAIL = 0.5  # of such a picture: cards, bars and logos are mostly plain


class Judgement:
    """What a run of aligned prints proves."""

    def __init__(self, mine: tuple[Vectors, Vectors], theirs: tuple[Vectors, Vectors]) -> None:
        self._pictures = mine[0], theirs[0]
        self._alike = cosines(mine[0], theirs[0])
        together = cosines(mine[1], theirs[1])
        moves = np.maximum(*(_moving(*one) for one in (mine, theirs)))
        self._agreed = moves & (together >= SAME_MOVE)
        self._apart = moves & (together < OTHER_MOVE)
        self._still = ~moves & (self._alike >= SAME_STILL)
        self._movement = _cosine(mine[1], theirs[1])
        self.quality = float(np.clip(np.maximum(self._alike, together), 0, 1).mean())

    def is_evidence(self, shares: list[float], detail: float) -> bool:
        """Whether movement agrees, or stills follow each other, or the whole is one rich still."""
        if self.quality < LEAST_QUALITY:
            return False
        agreed, apart = int(self._agreed.sum()), int(self._apart.sum())
        if agreed < LEAST_AGREED * (agreed + apart):
            return False
        if _in_long_runs(self._agreed) >= LEAST_PRINTS:
            return self._is_one_movement(max(shares))
        if max(shares) >= COVERED_SHARE and agreed >= LEAST_MOVES:
            return self._movement >= SURE_MOVE and float(self._alike.mean()) >= SURE_ALIKE
        if max(shares) < WHOLE_SHARE:
            return False
        stills = self._stills()
        is_still = agreed + apart <= MOST_MOVING * len(self._alike)
        is_whole_still = (
            is_still and stills >= 1 and min(shares) >= WHOLE_SHARE and detail >= LEAST_DETAIL
        )
        return stills >= LEAST_STILLS or self._drifts_alike() or is_whole_still

    def _is_one_movement(self, share: float) -> bool:
        """Whether pictures and movement are too alike for two takes of one thing."""
        alike = float(self._alike.mean())
        if self._movement >= SURE_MOVE or (alike >= SURE_ALIKE and self._movement >= FAIR_MOVE):
            return True
        return share >= COVERED_SHARE and alike + self._movement >= COVERED_SUM

    def _drifts_alike(self) -> bool:
        """Whether both go the same slow way from their first third to their last."""
        third = len(self._alike) // 3
        if third < LEAST_PRINTS or float(self._alike.mean()) < SURE_ALIKE:
            return False
        ways = [one[-third:].mean(axis=0) - one[:third].mean(axis=0) for one in self._pictures]
        mine, theirs = (way[None].astype(np.float32) for way in ways)
        return bool(
            _moving(self._pictures[0][:1], mine)[0] and cosines(mine, theirs)[0] >= SURE_MOVE
        )

    def _stills(self) -> int:
        """Different pictures that stand still on both sides."""
        pictures = self._pictures[0]
        rows = pictures[self._still & (lengths_of(pictures) >= LEAST_LENGTH)]
        if not len(rows):
            return 0
        return 1 + int((cosines(rows[1:], rows[:-1]) < SAME_STILL).sum())


def _cosine(one: Vectors, other: Vectors) -> float:
    """The cosine of two stacks of vectors as a whole: the strong count for more."""
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float((one * other).sum()) / lengths if lengths > LEAST_LENGTH**2 else 0.0


def _moving(pictures: Vectors, moves: Vectors) -> NDArray[np.bool_]:
    """Where something moves, and does not only grow brighter or darker."""
    return np.asarray(
        (lengths_of(moves) >= LEAST_LENGTH) & (np.abs(cosines(pictures, moves)) < FADE)
    )


def _in_long_runs(flags: NDArray[np.bool_]) -> int:
    """How many are set in runs of `LEAST_PRINTS` and more: a cut between stills is shorter."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= LEAST_PRINTS].sum())
