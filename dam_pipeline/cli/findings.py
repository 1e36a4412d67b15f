"""What `dam doctor` finds: a record of one check, and how it is mended."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from dam_pipeline.errors import DamError
from dam_pipeline.records import Json


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. `mend` says what a person can do, `repair` does it where it can be done.

    `repaired` says what was done, or is empty.
    """

    check: str
    ok: bool
    text: str
    mend: str = ""
    repair: Callable[[], str] | None = None
    repaired: str = ""

    def to_json(self) -> dict[str, Json]:
        """The documented form."""
        return {
            "check": self.check,
            "ok": self.ok,
            "text": self.text,
            "mend": self.mend,
            "repaired": self.repaired,
        }

    def mended(self) -> "Finding":
        """The finding after its repair, if it has one and it worked."""
        if self.ok or self.repair is None:
            return self
        try:
            return replace(self, ok=True, repaired=self.repair(), repair=None)
        except (DamError, OSError) as error:
            return replace(self, text=f"{self.text} The repair failed: {error}")


def well(check: str, text: str) -> Finding:
    """A check that found nothing wrong."""
    return Finding(check, True, text)


def wrong(check: str, text: str, mend: str, repair: Callable[[], str] | None = None) -> Finding:
    """A check that found something, with what to do about it."""
    return Finding(check, False, text, mend, repair)


def tried(check: str, look: Callable[[], Finding], mend: str) -> Finding:
    """The finding of `look`, or one that tells the error which kept it from looking."""
    try:
        return look()
    except (DamError, OSError) as error:
        return wrong(check, str(error), mend)
