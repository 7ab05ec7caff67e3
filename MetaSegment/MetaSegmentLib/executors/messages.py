"""Messages between two processes over a pipe: one JSON object a line, in ASCII.

Lines, since a pipe may carry what a launcher or a library has printed: that is passed over. ASCII without zero bytes,
since some bindings of Qt take bytes for a C string.
"""

from __future__ import annotations

import json
from typing import Any

Message = dict[str, Any]


def encode(message: Message) -> bytes:
    """One line."""
    return json.dumps(message, default=_plain).encode("ascii") + b"\n"


class Decoder:
    """Puts messages together from what comes through a pipe, piece by piece."""

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that ``data`` completes."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        return [message for line in lines if (message := _decode(line)) is not None]


def _decode(line: bytes) -> Message | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _plain(value: Any) -> Any:
    """A number of numpy as Python's own."""
    return value.item()
