"""Every error that the pipeline raises on purpose.

Each message says what happened (the file, the value) and what to do. Retryable ones are marked *.

    DamError
    ├── ConfigurationError
    ├── SourceError
    │   ├── SourceUnavailable *
    │   ├── SourceChanged *
    │   └── MassDisappearance
    ├── MediaError
    │   ├── UnreadableMedia
    │   ├── UnsupportedMedia
    │   └── ResultRejected
    ├── ModelError
    │   ├── WeightsMissing       (blocks)
    │   ├── WeightsMismatch      (blocks)
    │   └── OutOfMemory *        (blocks)
    ├── StoreError
    │   ├── StoreUnavailable *   (blocks)
    │   ├── DiskFull *           (blocks)
    │   ├── SchemaMismatch
    │   ├── SpaceMismatch
    │   └── PromotionRefused
    ├── PublishError
    │   ├── PackageInvalid
    │   └── DeliveryFailed *
    ├── EventsUndelivered *
    ├── RemoteError
    │   └── RemoteUnavailable *
    └── RunBroken *

An error that *blocks* is the surroundings' fault, not the file's: no attempt is counted and the
stage resumes by itself once the surroundings are mended.
"""

from typing import ClassVar


class DamError(Exception):
    """The root of all errors here; `retryable` and `blocks` say how the engine records one."""

    retryable: ClassVar[bool] = False
    blocks: ClassVar[bool] = False


class ConfigurationError(DamError):
    """A setting, a path or an argument cannot be used."""


class SourceError(DamError):
    """A place that holds originals gives trouble."""


class SourceUnavailable(SourceError):
    """The original or its root cannot be reached now."""

    retryable = True


class SourceChanged(SourceError):
    """The original changed while it was being read."""

    retryable = True


class MassDisappearance(SourceError):
    """Too much of a source vanished at once to be believed without a person's word."""


class MediaError(DamError):
    """One media file is at fault."""


class UnreadableMedia(MediaError):
    """The file is damaged or is not what its name says."""


class UnsupportedMedia(MediaError):
    """The file is whole, but of a kind that is not read here."""


class ResultRejected(MediaError):
    """A quality gate found a stage's result on this file broken."""


class ModelError(DamError):
    """A model cannot be used."""


class WeightsMissing(ModelError):
    """No weights on this machine; the message says how to get them."""

    blocks = True


class WeightsMismatch(ModelError):
    """The weights found are not those that were asked for."""

    blocks = True


class OutOfMemory(ModelError):
    """The model or its batch does not fit into memory."""

    retryable = True
    blocks = True


class StoreError(DamError):
    """A store of derived data gives trouble."""


class StoreUnavailable(StoreError):
    """A store does not answer."""

    retryable = True
    blocks = True


class DiskFull(StoreError):
    """There is no room left under DAM_HOME."""

    retryable = True
    blocks = True


class SchemaMismatch(StoreError):
    """Stored data has another form than this version of the code reads."""


class SpaceMismatch(StoreError):
    """A vector of one embedding space was used in another."""


class PromotionRefused(StoreError):
    """An embedding space is not fit to become the active one."""


class RunBroken(DamError):
    """A Dagster run ended for another reason than its files."""

    retryable = True


class PublishError(DamError):
    """A package or its delivery gives trouble."""


class PackageInvalid(PublishError):
    """A package is not what its manifest says, or cannot be made."""


class DeliveryFailed(PublishError):
    """A file did not get to its destination; with `is_lasting` another try is of no use."""

    retryable = True

    def __init__(self, message: str, *, is_lasting: bool = False) -> None:
        super().__init__(message)
        self.is_lasting = is_lasting


class EventsUndelivered(DamError):
    """Whoever is to hear of events does not take them now; they wait in the outbox."""

    retryable = True


class RemoteError(DamError):
    """A Dagster webserver answers, but not with what was asked for."""


class RemoteUnavailable(RemoteError):
    """A Dagster webserver, or the daemon behind it, does not answer."""

    retryable = True
