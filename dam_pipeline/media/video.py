"""One pass over the pictures of a video: shots by cuts, and keyframes, while it is being read.

A glance at every picture goes to the finder of shots; a few times a second one competes for keyframe,
and is reduced when it has won. Memory does not grow with duration, but for the list of results.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from av import VideoFrame
from av.container import InputContainer

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.media.boundaries import LAG_S, BoundaryFinder
from dam_pipeline.media.candidates import Candidate
from dam_pipeline.media.frames import FrameTaker, picture_stream, turning
from dam_pipeline.media.glances import Glance
from dam_pipeline.media.graphs import Deinterlace
from dam_pipeline.media.keyframes import KeyframeChooser, Pick, Rules, choose_hero
from dam_pipeline.media.pictures import luma_of, measure, write_jpeg
from dam_pipeline.media.plan import LookPlan
from dam_pipeline.media.prints import PrintMaker
from dam_pipeline.media.streams import StreamReader, announced_s, open_container
from dam_pipeline.records import Boundary, Keyframe, Look

SAMPLE_S = 0.28  # time between candidates for keyframe: the shortest shot has one
SAMPLE_GRACE_S = 0.02  # a candidate may come this much early, so that frame rates do not matter
PRINT_SAMPLE_S = 0.1  # time between pictures that are averaged into a fingerprint
SAME_TIME_S = 1e-6


def look_at_video(
    path: str, out_dir: Path, plan: LookPlan, on_progress: Callable[[float], None]
) -> Look:
    """Shots and keyframes of a video; raises UnreadableMedia, UnsupportedMedia.

    Keyframes are written into `out_dir` as JPEGs.
    """
    with open_container(path) as container:
        return _VideoLook(container, out_dir, plan, on_progress).run()


class _VideoLook:
    """The state of one pass."""

    def __init__(
        self,
        container: InputContainer,
        out_dir: Path,
        plan: LookPlan,
        on_progress: Callable[[float], None],
    ) -> None:
        stream = picture_stream(container, plan.max_megapixels)
        self._out_dir = out_dir
        self._announced_s = announced_s(container, stream) or 0.0
        self._reader = StreamReader(container, stream, on_progress)
        self._lines = Deinterlace(stream.time_base) if plan.is_interlaced else None
        self._taker = FrameTaker(stream, plan.keyframe_px)
        rules = Rules(
            plan.keyframe_gap_s, plan.keyframe_change, plan.keyframes_per_minute, SAMPLE_S
        )
        self._chooser = KeyframeChooser(rules, self._keep)
        self._boundaries = _Boundaries(plan)
        self._prints = PrintMaker()
        self._next_sample_s = 0.0
        self._next_print_s = 0.0
        self._frames = 0
        self._kept: list[tuple[str, int, int]] = []
        self._size = (0, 0)

    def run(self) -> Look:
        end_s = 0.0
        for time_s, duration_s, frame in self._frames_in_time():
            end_s = max(end_s, time_s + duration_s)
            self._see(time_s, frame)
        if not self._frames:
            why = self._reader.trouble or "no frame in it"
            raise UnreadableMedia(
                f"holds no picture that can be decoded ({why}). Copy it again from its source."
            )
        for boundary in self._boundaries.rest():
            self._chooser.cut(boundary)
        self._chooser.finish(end_s)
        return Look(
            shots=tuple(self._chooser.shots),
            keyframes=tuple(self._keyframes()),
            frames=self._frames,
            width=self._size[0],
            height=self._size[1],
            duration_s=end_s,
            partial=self._reader.partial(self._announced_s),
            prints=self._prints.finish(end_s),
        )

    def _frames_in_time(self) -> Iterator[tuple[float, float, Any]]:
        """Frames with times that never fall, from 0 on, deinterlaced if need be."""
        latest_s = 0.0
        frames = self._reader.frames()
        for time_s, duration_s, frame in self._progressive(frames) if self._lines else frames:
            latest_s = max(latest_s, time_s)
            yield latest_s, duration_s, frame

    def _progressive(self, frames: Any) -> Iterator[tuple[float, float, Any]]:
        """The frames without combs, one step later, with their own times."""
        duration_s = 0.0
        for _, duration_s, frame in frames:
            for ready in self._lines.apply(frame) if self._lines else []:
                yield self._reader.time_of(ready), duration_s, ready
        for ready in self._lines.flush() if self._lines else []:
            yield self._reader.time_of(ready), duration_s, ready

    def _see(self, time_s: float, frame: VideoFrame) -> None:
        self._frames += 1
        glance = self._taker.glance(frame)
        if time_s >= self._next_print_s - SAMPLE_GRACE_S:
            self._next_print_s = time_s + PRINT_SAMPLE_S
            self._prints.see(time_s, self._taker.small(), *turning(frame))
        for boundary in self._boundaries.after(time_s, glance):
            self._chooser.cut(boundary)
        if time_s >= self._next_sample_s - SAMPLE_GRACE_S:
            self._next_sample_s = time_s + SAMPLE_S
            self._chooser.offer(self._taker.take(frame, time_s, glance))
            size = (frame.width, frame.height)
            self._size = size[::-1] if turning(frame)[0] % 2 else size
        self._chooser.settle(self._boundaries.settled_s)

    def _keep(self, candidate: Candidate, pick: Pick) -> None:
        """Write the picture, and note how sharp and bright it is as written."""
        name = f"keyframe-{len(self._kept):05d}.jpg"
        picture = self._taker.finish(candidate.picture)
        finished = measure(luma_of(picture), candidate.time_s, candidate.thumb)
        pick.sharpness, pick.exposure = finished.sharpness, finished.exposure
        self._kept.append((name, *write_jpeg(picture, self._out_dir / name)))

    def _keyframes(self) -> Iterator[Keyframe]:
        hero, hero_why = choose_hero(self._chooser.picks, self._chooser.shots)
        for index, pick in enumerate(self._chooser.picks):
            name, width, height = self._kept[index]
            yield Keyframe(
                shot=pick.shot,
                time_s=pick.time_s,
                start_s=pick.start_s,
                end_s=pick.end_s,
                path=name,
                width=width,
                height=height,
                sharpness=pick.sharpness,
                exposure=pick.exposure,
                is_hero=index == hero,
                why=f"{pick.why}; {hero_why}" if index == hero else pick.why,
            )


class _Boundaries:
    """Where shots begin: as found here, or as an earlier pass found them.

    Known ones are told as late as if they were being found, so that both ways choose the same
    keyframes.
    """

    def __init__(self, plan: LookPlan) -> None:
        self._finder = BoundaryFinder(plan.shot_threshold) if plan.shots is None else None
        self._known = [
            Boundary(shot.start_s, shot.transition, shot.transition_s)
            for shot in (plan.shots or ())[1:]
        ]
        self.settled_s = -LAG_S

    def after(self, time_s: float, glance: Glance) -> Iterable[Boundary]:
        """Boundaries that are certain once the frame at this time has been seen."""
        self.settled_s = time_s - LAG_S
        if self._finder is None:
            return self._known_until(self.settled_s)
        return self._finder.feed(time_s, glance)

    def rest(self) -> Iterable[Boundary]:
        """Boundaries in the last seconds."""
        return self._finder.finish() if self._finder else self._known_until(math.inf)

    def _known_until(self, time_s: float) -> list[Boundary]:
        told = [known for known in self._known if known.start_s <= time_s + SAME_TIME_S]
        self._known = self._known[len(told) :]
        return told
