"""What can go wrong through no fault of the program. Every message is one sentence that says what to do."""


class MetaSegmentError(Exception):
    """Base of all errors that a caller can cause or mend; ``str(error)`` is fit to be shown to a user."""


class InputError(MetaSegmentError):
    """The image, the paint, the slices or the geometry cannot be used."""


class SettingsError(MetaSegmentError):
    """An unknown method, device or option was asked for."""


class WeightsError(MetaSegmentError):
    """A weights file is missing, damaged or does not match its checksum."""


class DependencyError(MetaSegmentError):
    """A Python package that is needed is not installed."""


class OutputError(MetaSegmentError):
    """A result could not be written."""


class MemoryExhausted(MetaSegmentError):
    """The memory does not hold what was asked for, however it is divided."""

    def __init__(
        self, message: str = "The memory of this machine is used up; close other programs or crop the volume."
    ) -> None:
        super().__init__(message)


class Cancelled(MetaSegmentError):
    """The caller's ``cancel()`` returned True; nothing was changed."""

    def __init__(self, message: str = "Segmentation was cancelled; nothing was changed.") -> None:
        super().__init__(message)
