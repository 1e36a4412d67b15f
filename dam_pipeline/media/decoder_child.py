"""The decoder child: reads requests from standard input, decodes, answers; dies with its parent.

Started by `decoder.Decoder` only, as `python -m dam_pipeline.media.decoder_child MEMORY_MB PARENT`.
Whatever codecs print goes to standard error; the protocol has a descriptor of its own.
"""

import ctypes
import errno
import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

from dam_pipeline.errors import MediaError, SourceUnavailable, UnsupportedMedia
from dam_pipeline.media.protocol import (
    Done,
    Failed,
    Progress,
    Reply,
    Request,
    Result,
    decode_request,
    encode,
)

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PROGRESS_EVERY_S = 0.25
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

Answer = Callable[[Request, Callable[[float], None]], Result]


def main() -> None:
    """Serve requests until standard input ends."""
    memory_mb, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from dam_pipeline.media.decoding import answer  # the codecs, under the limits set above

    gc.freeze()
    replies.write(encode(Progress(0.0)))  # ready: how long starting takes is no file's fault
    for line in sys.stdin.buffer:
        _serve(line, replies, answer)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _serve(line: bytes, replies: BinaryIO, answer: Answer) -> None:
    reply: Reply
    try:
        reply = Done(answer(decode_request(line), _reporter(replies)))
    except Exception as error:  # noqa: BLE001 - the outcome is recorded in the reply
        reply = _failure(error)
    replies.write(encode(reply))
    gc.collect()  # cycles hold decoded frames: measured 250 MB a film until Python got round to it


def _reporter(replies: BinaryIO) -> Callable[[float], None]:
    """A function that passes progress on, a few times a second at most."""
    latest_s = 0.0

    def report(share: float) -> None:
        nonlocal latest_s
        now_s = time.monotonic()
        if now_s - latest_s >= PROGRESS_EVERY_S:
            latest_s = now_s
            replies.write(encode(Progress(min(1.0, max(0.0, share)))))

    return report


def _failure(error: Exception) -> Failed:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError) or "nsufficient memory" in text:
        return Failed("memory", text)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return Failed("disk_full", text)
    if isinstance(error, UnsupportedMedia):
        return Failed("unsupported", text)
    if isinstance(error, SourceUnavailable):
        return Failed("away", text)
    if isinstance(error, MediaError):
        return Failed("unreadable", text)
    return Failed("unreadable", f"cannot be decoded ({type(error).__name__}: {text}).")


if __name__ == "__main__":
    main()
