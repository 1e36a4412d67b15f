"""ffmpeg filter graphs for video frames: scaling and deinterlacing in C, not in Python."""

from collections.abc import Iterator
from typing import Any

from av import VideoFrame
from av.filter import Graph

UNSPECIFIED = 2  # AVColorSpace


class FrameFilter:
    """A chain of filters for the frames of one stream, rebuilt when their form changes."""

    def __init__(self, time_base: Any) -> None:
        self._time_base = time_base
        self._form: tuple[Any, ...] = ()
        self._graph = Graph()

    def chain(self, frame: VideoFrame) -> list[tuple[str, str]]:
        """The filters and their arguments for frames like this one."""
        raise NotImplementedError

    def apply(self, frame: VideoFrame) -> list[VideoFrame]:
        """The frames that came out with this one."""
        form = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if form != self._form:
            self._build(frame)
            self._form = form
        self._graph.vpush(frame)
        return list(self._pull())

    def flush(self) -> list[VideoFrame]:
        """The frames that the filters still held; the graph is used up."""
        if not self._form:
            return []
        self._graph.vpush(None)
        self._form = ()
        return list(self._pull())

    def _pull(self) -> Iterator[VideoFrame]:
        while True:
            try:
                yield self._graph.vpull()
            except (BlockingIOError, EOFError):
                return

    def _build(self, frame: VideoFrame) -> None:
        graph = Graph()
        graph.threads = 1  # slices of one frame cost more CPU than they save time (benchmarked)
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=self._time_base,
        )
        filters = [graph.add(name, arguments) for name, arguments in self.chain(frame)]
        graph.link_nodes(source, *filters, graph.add("buffersink"))
        graph.configure()
        self._graph = graph


class Deinterlace(FrameFilter):
    """One progressive frame for each frame, at its time (bwdif)."""

    def chain(self, frame: VideoFrame) -> list[tuple[str, str]]:
        """The deinterlacer; told to work on all frames, for some cameras do not mark theirs."""
        return [("bwdif", "mode=send_frame:parity=auto:deint=all")]


class Shrink(FrameFilter):
    """Frames of one size and pixel format; `flags` names swscale's algorithm.

    `matrix` is the colour matrix of frames that do not name theirs; empty: swscale's guess.
    """

    def __init__(
        self,
        time_base: Any,
        size: tuple[int, int],
        pixel_format: str,
        flags: str,
        matrix: str = "",
    ) -> None:
        super().__init__(time_base)
        self._size = size
        self._pixel_format = pixel_format
        self._flags = flags
        self._matrix = matrix

    def chain(self, frame: VideoFrame) -> list[tuple[str, str]]:
        """Scaling, with the colour matrix set right, and the pixel format."""
        width, height = self._size
        scale = f"w={width}:h={height}:flags={self._flags}"
        if frame.colorspace == UNSPECIFIED and self._matrix:
            scale += f":in_color_matrix={self._matrix}"
        return [("scale", scale), ("format", f"pix_fmts={self._pixel_format}")]

    def one(self, frame: VideoFrame) -> VideoFrame:
        """The shrunk frame."""
        return self.apply(frame)[0]
