"""Connections in parallel that take files from one queue, and try again what failed."""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dam_pipeline.errors import DeliveryFailed, PublishError
from dam_pipeline.publishing import Progress, Receipt, Transport
from dam_pipeline.publishing.plan import Outgoing

LONGEST_WAIT_S = 60.0
END_WITHIN_S = 10.0  # so long the threads that are stopped may take to notice

_LOG = logging.getLogger(__name__)


class Stopped(BaseException):
    """The sending was told to end: what is under way is left as it is."""


@dataclass(frozen=True, slots=True)
class Trying:
    """How often a file is tried, and how long is waited after the first failure."""

    tries: int = 5
    first_wait_s: float = 1.0

    def wait_s(self, failures: int) -> float:
        """Seconds before the next try after so many failures in a row: doubled, less a random part."""
        longest = min(LONGEST_WAIT_S, self.first_wait_s * 2 ** (failures - 1))
        return random.uniform(longest / 2, longest)


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of the sending, in the thread that does it.

    `begins` before the first byte of a file goes, `sent` with the bytes that just went, `ends` with
    the receipt, or without one and why it is not over there.
    """

    begins: Callable[[Outgoing], None]
    sent: Callable[[Outgoing, int], None]
    ends: Callable[[Outgoing, Receipt | None, str], None]


class Lines:
    """Sends files over several connections at once."""

    def __init__(
        self, connect: Callable[[], Transport], listener: Listener, trying: Trying
    ) -> None:
        self._connect = connect
        self._listener = listener
        self._trying = trying
        self._stopping = threading.Event()
        self._waiting: deque[Outgoing] = deque()
        self._lines: list[_Line] = []
        self._errors: list[BaseException] = []
        self._unreachable = ""

    def wait(self, seconds: float) -> None:
        """Wait within the sending; raises Stopped when it ends."""
        if self._stopping.wait(seconds):
            raise Stopped

    def send(
        self,
        files: Sequence[Outgoing],
        jobs: int,
        when_reached: Callable[[], object] = lambda: None,
    ) -> None:
        """Send files; one that fails does not stop the others.

        `when_reached` is called when the destination has let us in, before the first file.

        Raises DeliveryFailed or ConfigurationError where not even the first connection can be made,
        and what the listener raises.
        """
        self._waiting.extend(files)
        self._lines = [_Line(self._connect) for _ in files[:jobs]]
        threads = [
            threading.Thread(target=self._work, args=(line,), daemon=True) for line in self._lines
        ]
        try:
            self._open_first()
            when_reached()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            self._stop(threads)
            raise
        if self._errors:
            raise self._errors[0]

    def _open_first(self) -> None:
        failures = 0
        while self._lines and not self._unreachable:
            try:
                return self._lines[0].open()
            except DeliveryFailed as error:
                failures += 1
                self._wait_after(error, failures)

    def _stop(self, threads: Sequence[threading.Thread]) -> None:
        self._stopping.set()
        for line in self._lines:
            line.close()  # ends what a thread waits for
        until_s = time.monotonic() + END_WITHIN_S
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, until_s - time.monotonic()))

    def _work(self, line: "_Line") -> None:
        try:
            if line is self._lines[0] or self._is_let_in(line):
                while not self._stopping.is_set() and (file := self._next()):
                    self._bring(line, file)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in `send`
            self._errors.append(error)
            self._stopping.set()
        finally:
            line.close()

    def _next(self) -> Outgoing | None:
        with suppress(IndexError):
            return self._waiting.popleft()
        return None

    def _is_let_in(self, line: "_Line") -> bool:
        """Whether a further connection is had: servers limit those of an account."""
        try:
            line.open()
        except DeliveryFailed as error:
            _LOG.info("One connection less: %s", error)
            return False
        return True

    def _bring(self, line: "_Line", file: Outgoing) -> None:
        receipt, reason = None, self._unreachable
        if not reason:
            self._listener.begins(file)
            try:
                receipt = self._tried(line, file)
            except PublishError as error:
                reason = str(error)
                if line.is_refused:
                    self._unreachable = reason
        self._listener.ends(file, receipt, reason)

    def _tried(self, line: "_Line", file: Outgoing) -> Receipt:
        failures = sent_bytes = 0

        def sent(count: int) -> None:
            nonlocal sent_bytes
            self.wait(0)
            sent_bytes += count
            self._listener.sent(file, count)

        while True:
            before = sent_bytes
            try:
                return line.deliver(file, sent)
            except PublishError as error:
                # A long file over a bad line gets on with each try; bytes that are thrown away do not.
                is_further = before < sent_bytes <= 2 * file.delivery.size_bytes
                failures = 1 if is_further else failures + 1
                self._wait_after(error, failures)

    def _wait_after(self, error: PublishError, failures: int) -> None:
        """Wait until another try; raises the error where that is of no use."""
        self.wait(0)
        is_lasting = not isinstance(error, DeliveryFailed) or error.is_lasting
        if is_lasting or failures >= self._trying.tries:
            raise error
        wait_s = self._trying.wait_s(failures)
        _LOG.warning("%s Trying again in %.1f s.", error, wait_s)
        self.wait(wait_s)


class _Line:
    """A connection, made when it is needed, and anew after each failure."""

    def __init__(self, connect: Callable[[], Transport]) -> None:
        self._connect = connect
        self._transport: Transport | None = None
        self.is_refused = False  # the last thing that failed was connecting

    def open(self) -> None:
        """Connect, unless it is done; raises DeliveryFailed, ConfigurationError."""
        if self._transport is None:
            self.is_refused = True
            self._transport = self._connect()
            self.is_refused = False

    def deliver(self, file: Outgoing, progress: Progress) -> Receipt:
        """As `Transport.deliver`."""
        self.open()
        if self._transport is None:
            raise Stopped  # it was closed meanwhile
        try:
            return self._transport.deliver(file.source, file.name, file.delivery.sha256, progress)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; also from another thread, which ends what this one waits for."""
        transport, self._transport = self._transport, None
        if transport:
            transport.close()
