"""Whether the packed voxels of an NRRD file are all there: teem puts 0 for what it cannot unpack, and goes on."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 1 << 16  # up to a thousand times as much when unpacked


def require_whole_nrrd(path: Path) -> None:
    """Unpack the voxels, if they are packed with gzip, and compare them with their checksums.

    Raises:
        EOFError: they end too early, or are not what was packed.
        OSError: the file, or the one that it names, cannot be read.
    """
    packed, beside = False, None
    with path.open("rb") as file:
        for line in file:
            if not line.strip():
                break
            field, _, value = line.partition(b":")
            if field == b"encoding":
                packed = value.strip().lower() in (b"gzip", b"gz")
            elif field in (b"data file", b"datafile"):
                beside = os.fsdecode(value.strip())
        if packed and beside is None:
            _unpack(file)
    if beside is not None and not beside.startswith("LIST") and "%" not in beside:  # or else there are several
        with (path.parent / beside).open("rb") as file:
            if packed:
                _unpack(file)


def _unpack(file: BinaryIO) -> None:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        while chunk := file.read(CHUNK_BYTES):
            unpacker.decompress(chunk)
            while unpacker.eof:
                rest = unpacker.unused_data or file.read(CHUNK_BYTES)
                if not rest.startswith(b"\x1f\x8b"):  # packed voxels may come in several pieces
                    return
                unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
                unpacker.decompress(rest)
    except zlib.error as error:
        raise EOFError("the packed voxels do not match their checksum") from error
    raise EOFError("packed voxels are missing")
