"""Programmes of drawn, textured and photographed shots with known cuts, transitions and distractors.

A shot is a view that travels over a larger picture (a world), perhaps with an object on top; all of
it follows from the seed. Frames are drawn one by one, so that a programme's length costs no memory.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

Picture = np.ndarray
PHOTOGRAPHS = (
    "astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png", "motorcycle_left.png",
    "grass.png", "gravel.png", "coins.png", "ihc.png", "page.png", "retina.jpg", "brick.png",
)  # fmt: skip
TIME_BASE = Fraction(1, 90_000)
RATES = {"24": Fraction(24), "25": Fraction(25), "30": Fraction(30000, 1001), "50": Fraction(50)}


@dataclass(frozen=True, slots=True)
class Span:
    """A transition, or something that is no cut, from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    kind: str


@dataclass(slots=True)
class Truth:
    """What a programme shows."""

    cuts_s: list[float] = field(default_factory=list)
    transitions: list[Span] = field(default_factory=list)
    distractors: list[Span] = field(default_factory=list)
    frame_s: float = 0.04

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Truth":
        """From JSON; `distractors` and `frame_s` may be absent."""
        document = json.loads(path.read_text())
        spans = {
            name: [Span(**span) for span in document.get(name, [])]
            for name in ("transitions", "distractors")
        }
        return cls(document["cuts_s"], **spans, frame_s=document.get("frame_s", 0.04))


def world_of(random: np.random.Generator, size: tuple[int, int], family: int) -> Picture:
    """A picture three views wide and two high; worlds of one family look alike."""
    width, height = size[0] * 3, size[1] * 2
    kind = family % 4
    if kind == 0:
        return _texture(random, (width, height), family)
    if kind == 1:
        return _drawing(random, (width, height), family)
    if kind == 2:
        return _photograph(random, (width, height), family)
    ground = _texture(random, (width, height), family) // 2
    return cv2.addWeighted(ground, 0.7, _drawing(random, (width, height), family), 0.5, 0)


def _texture(random: np.random.Generator, size: tuple[int, int], family: int) -> Picture:
    colours = np.random.default_rng(family).integers(40, 200, 3)
    picture = np.full((size[1], size[0], 3), colours, np.float32)
    for cells, depth in ((5, 60), (14, 45), (45, 30), (150, 16)):
        coarse = random.normal(0, depth, (max(2, cells * size[1] // size[0]), cells, 3))
        coarse = coarse * 0.4 + coarse.mean(axis=2, keepdims=True)
        picture += cv2.resize(coarse.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _drawing(random: np.random.Generator, size: tuple[int, int], family: int) -> Picture:
    palette = np.random.default_rng(family).integers(30, 235, (6, 3))
    slope = np.linspace(0, 1, size[1])[:, None, None]
    picture = np.ascontiguousarray(
        np.broadcast_to(palette[0] * (1 - slope) + palette[1] * slope, (size[1], size[0], 3))
    ).astype(np.uint8)
    for _ in range(36):
        x, y = int(random.integers(0, size[0])), int(random.integers(0, size[1]))
        reach = int(random.integers(8, size[1] // 4))
        colour = tuple(int(v) for v in palette[random.integers(0, 6)] + random.integers(-20, 20, 3))
        shape = random.integers(0, 3)
        if shape == 0:
            cv2.rectangle(picture, (x, y), (x + reach, y + reach), colour, -1)
        elif shape == 1:
            cv2.circle(picture, (x, y), reach // 2, colour, -1)
        else:
            corners = random.integers(-reach, reach, (3, 2)) + np.array([x, y])
            cv2.fillPoly(picture, [corners.astype(np.int32)], colour)
    return picture


def _photograph(random: np.random.Generator, size: tuple[int, int], family: int) -> Picture:
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    picture = cv2.imread(str(folder / PHOTOGRAPHS[family // 4 % len(PHOTOGRAPHS)]))[..., ::-1]
    height, width = picture.shape[:2]
    share = random.uniform(0.6, 0.95)
    x, y = random.uniform(0, 1 - share, 2) * (width, height)
    part = picture[int(y) : int(y + height * share), int(x) : int(x + width * share)]
    if random.random() < 0.5:
        part = part[:, ::-1]
    return cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA)


Move = Callable[[float], tuple[float, float, float]]  # time in the shot → x, y (0–1), zoom


def _move(random: np.random.Generator, kind: str) -> Move:
    x0, y0 = random.uniform(0.1, 0.9, 2)
    vx, vy = random.uniform(-0.06, 0.06, 2)
    phases = random.uniform(0, 6.28, 6)
    if kind == "still":
        return lambda t: (x0, y0, 1.0)
    if kind == "pan":
        return lambda t: (x0 + vx * t, y0 + vy * t, 1.0)
    if kind == "zoom":
        return lambda t: (x0, y0, 1.0 + 0.06 * t)
    reach = random.uniform(0.006, 0.03)

    def shake(t: float) -> tuple[float, float, float]:
        dx = np.sin(7.1 * t + phases[0]) + 0.6 * np.sin(16.3 * t + phases[1])
        dy = np.sin(8.3 * t + phases[2]) + 0.6 * np.sin(19.1 * t + phases[3])
        return x0 + vx * t / 2 + reach * dx, y0 + reach * dy, 1.0

    return shake


@dataclass(slots=True)
class Shot:
    """A view over a world, with what happens in it."""

    world: Picture
    size: tuple[int, int]
    move: Move
    light: float = 1.0
    grain: float = 0.0
    visitor: Picture | None = None  # texture of an object that crosses the view
    event: Span | None = None  # in the shot's own time
    strength: float = 1.0
    seed: int = 0

    def draw(self, time_s: float) -> Picture:
        """The picture at a time of the shot."""
        picture = self._view(time_s).astype(np.float32)
        picture = self._with_event(picture, time_s) * self.light
        if self.grain:
            random = np.random.default_rng(self.seed + int(time_s * 1000))
            picture += random.normal(0, self.grain, picture.shape[:2])[..., None]
        return np.clip(picture, 0, 255).astype(np.uint8)

    def _view(self, time_s: float) -> Picture:
        event = self.event
        x, y, zoom = self.move(time_s)
        if event and event.kind == "whip":
            share = np.clip((time_s - event.start_s) / (event.end_s - event.start_s), 0, 1)
            return self._blurred(x, y, float(share))
        return self._crop(x, y, zoom)

    def _blurred(self, x: float, y: float, share: float) -> Picture:
        side = 1 if self.move(0.0)[0] < 0.5 else -1

        def eased(s: float) -> float:
            s = min(1.0, max(0.0, s))
            return x + side * self.strength * s * s * (3 - 2 * s)

        if not 0 < share < 1:
            return self._crop(eased(share), y, 1.0)
        steps = [self._crop(eased(share + d), y, 1.0) for d in np.linspace(-0.05, 0.05, 7)]
        return np.mean(steps, axis=0)

    def _crop(self, x: float, y: float, zoom: float) -> Picture:
        (width, height), (world_h, world_w) = self.size, self.world.shape[:2]
        view_w, view_h = width / zoom, height / zoom
        left = _bounce(x) * (world_w - view_w)
        top = _bounce(y) * (world_h - view_h)
        matrix = np.array([[1 / zoom, 0, left], [0, 1 / zoom, top]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            self.world, matrix, self.size, flags=flags, borderMode=cv2.BORDER_REFLECT
        )

    def _with_event(self, picture: Picture, time_s: float) -> Picture:
        event = self.event
        if event is None or event.kind == "whip":
            return picture
        width, height = self.size
        share = (time_s - event.start_s) / (event.end_s - event.start_s)
        if event.kind == "flash" and 0 <= share < 1:
            return picture * 0.3 + 255 * self.strength
        if event.kind == "lamp" and 0 <= share < 1:
            return picture * np.array([1.0, 0.95, 0.85]) * (1 - 0.7 * self.strength)
        if event.kind == "local_lamp" and 0 <= share < 1:
            ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
            away = ((xs / width - 0.3) ** 2 + (ys / height - 0.4) ** 2) * 6
            return picture * (1 - 0.75 * self.strength * np.exp(-away))[..., None]
        if event.kind == "exposure" and share > 0:
            return picture * (1 + (self.strength * 1.6 - 0.9) * min(1.0, share))
        if event.kind == "object" and 0 <= share <= 1 and self.visitor is not None:
            x = int((share * 3.2 - 1.6) * width)
            return _paste(picture, self.visitor, x)
        return picture


def _bounce(x: float) -> float:
    """0–1, reflected at both ends."""
    x = abs(x) % 2
    return 2 - x if x > 1 else x


def _paste(picture: Picture, visitor: Picture, x: int) -> Picture:
    width = picture.shape[1]
    left, right = max(0, x - width // 10), min(width, x + width + width // 10)
    if left < right:
        columns = np.clip(np.arange(left, right) - x, 0, width - 1)
        picture[:, left:right] = visitor[:, columns]
    return picture


EVENTS = ("", "", "flash", "whip", "lamp", "local_lamp", "exposure", "object", "shake")


def _shot(random: np.random.Generator, size: tuple[int, int], family: int, dark: bool) -> Shot:
    kind = str(random.choice(["still", "pan", "shake", "zoom"]))
    return Shot(
        world_of(random, size, family),
        size,
        _move(random, kind),
        light=float(random.uniform(0.15, 0.3)) if dark else 1.0,
        seed=int(random.integers(0, 1 << 30)),
    )


def _put_event(random: np.random.Generator, shot: Shot, length_s: float, rate: float) -> None:
    kind = str(random.choice(EVENTS))
    at_s = float(random.uniform(0.8, max(0.9, length_s - 1.6)))
    lasts_s = {
        "flash": int(random.integers(1, 4)) / rate,
        "whip": random.uniform(0.24, 0.5),
        "lamp": random.uniform(0.5, 1.2),
        "local_lamp": random.uniform(0.5, 1.2),
        "exposure": random.uniform(0.3, 1.0),
        "object": random.uniform(0.8, 1.4),
    }.get(kind, 0.0)
    if kind == "shake":
        shot.move = _move(random, "shake")
        shot.event = Span(0.0, length_s, "shake")
    elif kind and length_s >= 3.0:
        shot.event = Span(at_s, at_s + float(lasts_s), kind)
        shot.strength = float(random.uniform(0.6, 1.0))
        if kind == "object":
            other = world_of(random, shot.size, int(random.integers(0, 48)))
            shot.visitor = other[: shot.size[1], : shot.size[0]]


@dataclass(frozen=True, slots=True)
class Form:
    """How a programme is coded."""

    rate: str  # a key of RATES, "vfr" or "60i"
    size: tuple[int, int] = (320, 180)
    crf: int = 23


@dataclass(slots=True)
class Programme:
    """Shots one after the other; `joins` holds how each but the first begins and how long that is."""

    shots: list[Shot]
    lengths_s: list[float]
    joins: list[tuple[str, float]]

    def picture(self, time_s: float) -> Picture:
        """The picture at a time; a transition lies with its middle on the boundary."""
        starts = np.concatenate([[0.0], np.cumsum(self.lengths_s)])
        index = int(np.searchsorted(starts, time_s + 1e-9, side="right")) - 1
        index = min(max(index, 0), len(self.shots) - 1)
        for other, (kind, lasts_s) in (
            (index, self._join(index)),
            (index + 1, self._join(index + 1)),
        ):
            boundary_s = float(starts[other]) if other < len(starts) else np.inf
            if lasts_s and abs(time_s - boundary_s) < lasts_s / 2:
                share = (time_s - boundary_s) / lasts_s + 0.5
                before = self.shots[other - 1].draw(time_s - starts[other - 1])
                after = self.shots[other].draw(time_s - starts[other])
                return _mixed(kind, before, after, share)
        return self.shots[index].draw(time_s - float(starts[index]))

    def _join(self, index: int) -> tuple[str, float]:
        return self.joins[index - 1] if 0 < index < len(self.shots) else ("", 0.0)

    def truth(self, frame_s: float) -> Truth:
        """Where what is, on the programme's axis."""
        starts = np.concatenate([[0.0], np.cumsum(self.lengths_s)])
        truth = Truth(frame_s=frame_s)
        for start_s, (kind, lasts_s) in zip(starts[1:], self.joins, strict=False):
            if kind == "cut":
                truth.cuts_s.append(float(start_s))
            else:
                half_s = lasts_s / 2
                truth.transitions.append(Span(start_s - half_s, start_s + half_s, kind))
        for start_s, shot in zip(starts, self.shots, strict=False):
            if shot.event:
                event = shot.event
                truth.distractors.append(
                    Span(float(start_s + event.start_s), float(start_s + event.end_s), event.kind)
                )
        return truth


def _mixed(kind: str, before: Picture, after: Picture, share: float) -> Picture:
    if kind == "dissolve":
        return cv2.addWeighted(before, 1 - share, after, share, 0)
    level = 255.0 if kind == "fade_white" else 8.0
    picture, strength = (before, 1 - 2 * share) if share < 0.5 else (after, 2 * share - 1)
    strength = min(1.0, strength * 1.15)
    return np.clip(picture * strength + level * (1 - strength), 0, 255).astype(np.uint8)


def make_programme(seed: int, form: Form) -> Programme:
    """Seven to ten shots; some cut between look-alikes, some dark, some short, some grainy."""
    random = np.random.default_rng(seed)
    count = int(random.integers(7, 11))
    dark, grain = bool(random.random() < 0.2), float(random.choice([0, 0, 3, 8]))
    family = int(random.integers(0, 60))
    rate = 60.0 if form.rate in ("60i", "vfr") else float(RATES[form.rate])
    shots, lengths_s, joins = [], [], []
    for index in range(count):
        if random.random() < 0.6:
            family = int(random.integers(0, 60))
        shot = _shot(random, form.size, family, dark)
        shot.grain = grain * (0.5 if dark else 1.0)
        kind = "cut"
        if index and random.random() < 0.4:
            kind = str(random.choice(["dissolve", "dissolve", "fade_black", "fade_white"]))
        length_s = float(random.choice([0.5, 1.2, 3.0, 4.0, 5.0]))
        join_s = 0.0 if kind == "cut" else float(random.uniform(0.4, 2.0))
        if kind != "cut" or (joins and joins[-1][0] != "cut"):
            length_s = max(length_s, 3.6)
        if kind != "cut":
            lengths_s[-1] = max(lengths_s[-1], 3.6)
        if index:
            joins.append((kind, join_s))
        lengths_s.append(round(length_s * rate) / rate)
        shots.append(shot)
    for shot, length_s, (before, after) in zip(
        shots, lengths_s, _around(joins, count), strict=True
    ):
        margin_s = max(before, after) / 2
        if length_s - 2 * margin_s >= 3.0:
            _put_event(random, shot, length_s - margin_s, rate)
    return Programme(shots, lengths_s, joins)


def _around(joins: list[tuple[str, float]], count: int) -> list[tuple[float, float]]:
    lasts = [0.0, *(lasts_s for _, lasts_s in joins), 0.0]
    return [(lasts[i], lasts[i + 1]) for i in range(count)]


def write_programme(path: Path, programme: Programme, form: Form, seed: int) -> Truth:
    """Encode the programme; returns its truth, the cuts on the times of written frames."""
    times_s, frame_s = _times(sum(programme.lengths_s), form, seed)
    truth = programme.truth(frame_s)
    truth.cuts_s = [
        min((t for t in times_s if t >= cut - 1e-6), default=cut) for cut in truth.cuts_s
    ]
    if form.rate == "60i":
        pictures: Iterator[Picture] = (
            _woven(programme.picture(t), programme.picture(t + frame_s / 2)) for t in times_s
        )
    else:
        pictures = (programme.picture(t) for t in times_s)
    encode(path, pictures, times_s, form)
    return truth


def _times(length_s: float, form: Form, seed: int) -> tuple[list[float], float]:
    if form.rate == "vfr":
        random = np.random.default_rng(seed)
        steps = random.choice([1 / 60, 1 / 30, 1 / 24, 0.06], 20_000)
        times = np.concatenate([[0.0], np.cumsum(steps)])
        return [float(t) for t in times[times < length_s - 0.01]], 0.06
    rate = 30.0 if form.rate == "60i" else float(RATES[form.rate])
    return [n / rate for n in range(round(length_s * rate))], 1 / rate


def _woven(first: Picture, second: Picture) -> Picture:
    woven = first.copy()
    woven[1::2] = second[1::2]
    return woven


def encode(path: Path, pictures: Iterator[Picture], times_s: Sequence[float], form: Form) -> None:
    """Write H.264 with the times given."""
    options: dict[str, Any] = {"preset": "veryfast", "crf": str(form.crf), "threads": "1"}
    if form.rate == "60i":
        options["flags"] = "+ildct+ilme"
        options["x264-params"] = "tff=1"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=50, options=options)
        stream.width, stream.height = form.size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        for time_s, picture in zip(times_s, pictures, strict=False):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(time_s / TIME_BASE), TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


FORMS = (
    Form("25"), Form("30", crf=28), Form("24", crf=18), Form("50"), Form("60i"), Form("vfr"),
    Form("25", (180, 320), 30), Form("30", (426, 240), 35),
)  # fmt: skip
