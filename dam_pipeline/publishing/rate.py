"""One bandwidth limit that all connections share."""

import re
import threading
import time
from collections.abc import Callable

from dam_pipeline.errors import ConfigurationError

BURST_S = 0.25  # so long a connection that waited may make up for it

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(i?)(b|bit|)(?:/s)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}


def parse_rate(text: str) -> int:
    """Bytes a second of `2MB/s`, `500 kB/s`, `1.5MiB/s`, `16Mbit/s` or a plain number; 0 for none.

    Raises ConfigurationError for other texts, and for less than a byte a second.
    """
    found = _RATE.fullmatch(text.strip())
    if text.strip() in ("", "0"):
        return 0
    if found is None:
        raise ConfigurationError(f"{text} is no rate. Write one as 2MB/s, 500kB/s or 16Mbit/s.")
    number, power, binary, unit = found.groups()
    base = 1024 if binary else 1000
    rate = float(number) * base ** _POWERS[power.lower()] / (8 if unit.lower() == "bit" else 1)
    if rate < 1:
        raise ConfigurationError(f"{text} is less than a byte a second. Write 0 for no limit.")
    return int(rate)


class Rate:
    """Lets threads send as many bytes a second together as they may; 0: as many as they can."""

    def __init__(self, bytes_per_s: int, wait: Callable[[float], object] = time.sleep) -> None:
        self._bytes_per_s = bytes_per_s
        self._wait = wait
        self._lock = threading.Lock()
        self._paid_until_s = 0.0

    def spend(self, count: int) -> None:
        """Wait until so many bytes, just sent, are within the limit."""
        if not self._bytes_per_s:
            return
        with self._lock:
            now_s = time.monotonic()
            begin_s = max(self._paid_until_s, now_s - BURST_S)
            self._paid_until_s = begin_s + count / self._bytes_per_s
            wait_s = self._paid_until_s - now_s
        if wait_s > 0:
            self._wait(wait_s)
