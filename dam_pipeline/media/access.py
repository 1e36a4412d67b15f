"""Whether an original can be opened at all, and the words for it when it cannot."""

import errno
import os
import stat

from dam_pipeline.errors import DamError, SourceUnavailable, UnreadableMedia

WINDOW = "http://127.0.0.1:"  # begins the only addresses that are opened besides files
AGAIN = "Copy it again from its source, or remove it."
AWAY = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN)


def address_of(path: str | os.PathLike[str]) -> str:
    """What ffmpeg is to open: a local file, or a window of ours on a remote one as it is."""
    return str(path) if is_window(path) else "file:" + os.path.abspath(path)


def is_window(path: str | os.PathLike[str]) -> bool:
    """Whether it is the address of a window (`sources.window`); absolute paths begin with a slash."""
    return isinstance(path, str) and path.startswith(WINDOW)


def readable_size(path: str | os.PathLike[str]) -> int:
    """Size in bytes of a regular file that can be opened and holds something.

    Raises SourceUnavailable when it is not there, UnreadableMedia when it is empty, may not be
    read or is no file. A pipe is not waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refusal(error) from error
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableMedia("is no regular file; only files can be read.")
    if status.st_size == 0:
        raise UnreadableMedia(f"is empty (0 bytes). {AGAIN}")
    return status.st_size


def _refusal(error: OSError) -> DamError:
    if error.errno in AWAY:
        return SourceUnavailable("is not there now. Bring it back, then `dam retry`.")
    if isinstance(error, PermissionError):
        return UnreadableMedia(
            "may not be read (permission denied). Give this user read permission, then `dam retry`."
        )
    return UnreadableMedia(f"cannot be opened ({error.strerror}). {AGAIN}")
