"""Whether a file holds the data that its header declares, found out before anything is allocated for it.

The libraries behind the readers pad what is missing in several formats, pass over checksums, and allocate what a
header declares before they look for it.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError
from .access import plain_name, require_readable, unreadable
from .contents import GZIP, misnamed
from .formats import DICOM_SEG, RTSTRUCT, files_written, format_of
from .parts import HEADER_BYTES, INDEX, data_files, pair_of
from .quiet import quiet_stderr

CHUNK, START_BYTES = 1 << 22, 4096
SECONDS_TO_READ = 600
NIFTI_HEADER_BYTES, NIFTI_2_HEADER_BYTES, GIPL_HEADER_BYTES = 348, 540, 256
NIFTI_FIRST_VOXEL = 352
GIPL_BITS = {1: 1, 7: 8, 8: 8, 15: 16, 16: 16, 31: 32, 32: 32, 64: 32, 65: 64}
DICOM_ENDINGS = (".dcm", ".ima", DICOM_SEG, RTSTRUCT)
DICOM_MARK, DICOM_MARK_AT = b"DICM", 128
DICOM_SYNTAX = "0002|0010"
DICOM_PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
DICOM_OTHERWISE = ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
"""Big-endian and packed as a whole."""
DICOM_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
DICOM_UNKNOWN_LENGTH = 0xFFFFFFFF
DICOM_MOST_PACKED = 2000
VTK_BYTES = {"char": 1, "short": 2, "int": 4, "long": 8, "float": 4, "double": 8}
NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), 8),
    **dict.fromkeys(("int64", "int64_t", "ulonglong", "unsigned long long", "unsigned long long int"), 8),
    **dict.fromkeys(("uint64", "uint64_t", "double"), 8),
    "float": 4,
}
NUMBER = b"0123456789+-.eEaAfFiInNtTyY"
"""What numbers in text are made of, "nan" and "infinity" among them."""
PRINTED = bytes(range(0x21, 0x7F))
"""What text is made of, white space apart."""
META_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}


class Damage(Exception):
    """A file is not what its header declares; the words end a sentence, the advice is what to do."""

    def __init__(self, words: str, advice: str = "export or copy it again") -> None:
        super().__init__(words)
        self.advice = advice


def require_whole(path: Path) -> None:
    """Compare the data with what the header declares, and packed data with its checksum; memory stays small.

    Raises:
        Damage: too little data, a wrong checksum, a part that is missing, or a header that cannot be understood.
        OSError: the disk does not give the file.
    """
    own = format_of(path)
    if own is None or own.ending in DICOM_ENDINGS:
        _require_dicom_or_survival(path)
        return
    check = _CHECKS.get(own.ending.removeprefix(".seg"))
    try:
        if check is not None:
            check(path)
    except (ValueError, IndexError, KeyError, struct.error, OverflowError, UnicodeDecodeError) as error:
        raise Damage("its header is damaged") from error
    if own.guarded:
        _require_survival(path)


def require_undamaged(path: Path, role: str) -> None:
    """As :func:`require_whole`, for an input.

    Args:
        role: what the sentence calls it.

    Raises:
        InputError: as there.
    """
    require_readable(path, role)
    try:
        require_whole(path)
    except Damage as damage:
        what, advice = misnamed(path) or (str(damage), damage.advice)
        raise InputError(f"The {role} cannot be read; {what}; {advice}.") from damage
    except OSError as error:
        raise unreadable(error, role) from error


def require_dicom_lengths(path: Path) -> None:
    """Compare the length of each element of a DICOM file with what is left of it; other files pass.

    Raises:
        Damage: an element is longer than the rest of the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if not file.read(DICOM_MARK_AT + len(DICOM_MARK)).endswith(DICOM_MARK):
            return
        while len(head := file.read(8)) == 8:
            group, _, kind, short = struct.unpack("<HH2sH", head)
            (length,) = struct.unpack("<I", head[4:])  # of an element that does not name its kind
            if kind.isalpha() and kind.isupper():
                length = short
                if kind in DICOM_LONG:
                    (length,) = struct.unpack("<I", file.read(4).ljust(4, b"\0"))
            if length == DICOM_UNKNOWN_LENGTH:
                return
            if length > size - file.tell():
                raise Damage("it is damaged or cut short: it declares more than it holds")
            if group == 2 and length < START_BYTES:
                if file.read(length).strip(b"\0 ").decode("latin-1") in DICOM_OTHERWISE:
                    return
            else:
                file.seek(length, os.SEEK_CUR)


def require_dicom(path: Path) -> None:
    """Compare what a DICOM file declares with its length, before anything is allocated.

    Raises:
        Damage: more voxels are declared than the file can hold.
        RuntimeError: it cannot be understood at all.
    """
    import SimpleITK as sitk

    require_dicom_lengths(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    reader.ReadImageInformation()
    pixel = sitk.Image([1] * 3, reader.GetPixelID()).GetSizeOfPixelComponent()
    declared = prod(reader.GetSize()) * reader.GetNumberOfComponents() * pixel
    plain = reader.HasMetaDataKey(DICOM_SYNTAX) and reader.GetMetaData(DICOM_SYNTAX).strip("\0 ") in DICOM_PLAIN
    # What is stored in bytes may be read as wider numbers, because of its scaling.
    room = path.stat().st_size * (8 if plain else DICOM_MOST_PACKED)
    if declared > room:
        raise Damage("it is damaged or cut short: it declares more than it holds")


def _nrrd(path: Path) -> None:
    fields, start = _header(path, b":")
    if not fields.get("", "").startswith("NRRD"):
        raise Damage("it is damaged or no NRRD file")
    sizes = [int(word) for word in fields["sizes"].split()]
    if len(sizes) != int(fields["dimension"]) or min(sizes) < 1:
        raise Damage("the sizes in its header are damaged")
    encoding = fields["encoding"].lower()
    text = encoding in ("ascii", "text", "txt")
    if encoding in ("bz2", "bzip2"):
        raise Damage("its data is packed with bzip2, which is not read here", "save it with gzip")
    if text or encoding == "hex":
        declared, encoding = prod(sizes), "raw"  # a character for a number at the very least
    else:
        kind = fields["type"].lower()
        declared = prod(sizes) * (int(fields["block size"]) if kind == "block" else NRRD_BYTES[kind])
    files = data_files(path)
    skip = int(fields.get("byte skip", fields.get("byteskip", "0")))
    lines = int(fields.get("line skip", fields.get("lineskip", "0")))
    if lines < 0 or skip < -1:
        raise Damage("its header is damaged")
    packing = {"gz": "gzip"}.get(encoding, encoding)
    start = 0 if files else start
    _require_data(files or [path], start, declared, packing, max(skip, 0), lines)
    if text:
        # Of real numbers the reader knows more ways to write them, and refuses what is none; but of bytes that are no
        # text it dies, and of whole numbers it takes 0x10 for 0.
        letters = PRINTED if fields["type"].lower() in ("float", "double") else NUMBER
        for file in files or [path]:
            _require_numbers(file, start, prod(sizes) // len(files or [path]), max(skip, 0), lines, letters)


def _meta(path: Path) -> None:
    fields, start = _header(path, b"=", last="ElementDataFile")
    dimensions = int(fields["NDims"])
    sizes = [int(word) for word in fields["DimSize"].split()]
    if len(sizes) != dimensions or min(sizes) < 1:
        raise Damage("the sizes in its header are damaged")
    kind = fields["ElementType"].removeprefix("MET_").removesuffix("_ARRAY").removeprefix("U")
    # A number in text takes a character at the very least.
    text = fields.get("BinaryData", "True")[:1] in "Ff0"
    size = 1 if text else META_BYTES[kind] * int(fields.get("ElementNumberOfChannels", "1"))
    declared = prod(sizes) * size
    packed = fields.get("CompressedData", "False")[:1] in "Tt1"
    files = data_files(path)
    skip = int(fields.get("HeaderSize", "0"))
    length = int(fields.get("CompressedDataSize", "0")) if packed else 0
    if packed and not files and length < 1:  # the reader then takes whatever is in memory for voxels
        raise Damage("its header does not say how long its packed data is", "save it again")
    _require_data(
        files or [path], 0 if files else start, declared, "zlib" if packed else "raw", max(skip, 0), length=length
    )


def _nifti(path: Path) -> None:
    header_file = data_file = path
    if path.name.lower().endswith((".hdr", ".hdr.gz", ".img", ".img.gz")):
        other = files_written(path)[1]
        if not pair_of(path):
            raise Damage(f"the file that belongs to it, {other.name}, is missing", "put it beside it")
        other = pair_of(path)[0]
        header_file, data_file = (path, other) if ".img" in other.name.lower()[-7:] else (other, path)
    header, packing = _start(header_file)
    if len(header) < NIFTI_HEADER_BYTES:
        raise Damage("it is damaged or cut short")
    bits, sizes, offset = _nifti_header(header)
    if header[344:347] == b"n+1" and offset < NIFTI_FIRST_VOXEL:  # some programs then begin with bytes of the header
        where = "its voxels begin within its header" if offset > 0 else "its header does not say where its voxels begin"
        raise Damage(where, "save it again")
    if header_file != data_file:
        _require_data([header_file], 0, NIFTI_HEADER_BYTES, packing)
        packing = _start(data_file)[1]
    _require_data([data_file], 0, max(offset, 0) + -(-prod(sizes) * bits // 8), packing)


def _nifti_header(header: bytes) -> tuple[int, list[int], int]:
    """Bits a voxel, sizes, and where the data begin; of NIfTI 1 and Analyze."""
    for order in "<>":
        (length,) = struct.unpack_from(order + "i", header)
        if length == NIFTI_2_HEADER_BYTES:
            raise Damage("it is a NIfTI-2 file", "save it as NIfTI-1 or .nrrd")
        dims = struct.unpack_from(order + "8h", header, 40)
        if 1 <= dims[0] <= 7:
            (bits,) = struct.unpack_from(order + "h", header, 72)
            offset = int(struct.unpack_from(order + "f", header, 108)[0])
            break
    else:
        raise Damage("its header is damaged")
    if not 1 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 0 or bits < 1:
        raise Damage("the sizes in its header are damaged")
    return bits, [size or 1 for size in dims[1 : dims[0] + 1]], offset


def _gipl(path: Path) -> None:
    header, packing = _start(path)
    sizes = [size or 1 for size in struct.unpack_from(">4H", header)]
    (kind,) = struct.unpack_from(">H", header, 8)
    if len(header) < GIPL_HEADER_BYTES:
        raise Damage("it is damaged or cut short")
    declared = -(-prod(sizes) * GIPL_BITS[kind] // 8)
    _require_data([path], 0, GIPL_HEADER_BYTES + declared, packing)


def _vtk(path: Path) -> None:
    with path.open("rb") as file:
        # The second line is a title, which may have any words.
        encoding = [file.readline(START_BYTES).split() for _ in range(3)][-1]
        header = file.tell()
        start = file.read(START_BYTES)
    words = start.decode("latin-1").split()
    if not {b"BINARY", b"ASCII"}.intersection(encoding) or "SCALARS" not in words:
        return
    sizes = [int(word) for word in words[words.index("DIMENSIONS") + 1 :][:3]]
    kind = words[words.index("SCALARS") + 2]
    begin = start.index(b"SCALARS")
    table = start.find(b"LOOKUP_TABLE", begin)
    begin = header + start.index(b"\n", begin if table < 0 else table) + 1
    if min(sizes) < 1:
        raise Damage("the sizes in its header are damaged")
    if b"ASCII" in encoding:
        _require_numbers(path, begin, prod(sizes))
    else:
        _require_data([path], begin, prod(sizes) * VTK_BYTES[kind.removeprefix("unsigned_")], "raw")


_CHECKS: dict[str, Callable[[Path], None]] = {
    ".nrrd": _nrrd,
    ".nhdr": _nrrd,
    ".mha": _meta,
    ".mhd": _meta,
    **dict.fromkeys((".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz"), _nifti),
    ".gipl": _gipl,
    ".gipl.gz": _gipl,
    ".vtk": _vtk,
}


def _header(path: Path, mark: bytes, last: str = "") -> tuple[dict[str, str], int]:
    """Fields of a header in text, the first line under "", and where the data behind it begin.

    Args:
        last: the field that ends the header; by default an empty line does.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        first = True
        while file.tell() < HEADER_BYTES and (line := file.readline(HEADER_BYTES)):
            text = line.decode("utf-8", "replace").strip("\r\n")
            if first and mark == b":":
                fields[""] = text
            elif not text.strip():
                break
            key, found, value = text.partition(mark.decode())
            if found and not value.startswith("="):
                fields.setdefault(key.strip() if last else key.strip().lower(), value.strip())
            first = False
            if last and key.strip() == last:
                break
        return fields, file.tell()


def _require_data(
    files: list[Path], start: int, declared: int, packing: str, skip: int = 0, lines: int = 0, length: int = 0
) -> None:
    """Several files share the data evenly; each has at least its share.

    Args:
        length: bytes of packed data that a reader takes, whatever comes after them; 0 for all.
    """
    for file in files:
        if file.exists() and not file.is_file():
            raise Damage(f"its data file, {file.name}, is no file")
        try:
            with file.open("rb") as data:
                data.seek(start)
                for _ in range(lines):
                    data.readline(CHUNK)
                found = _length(data, packing, length) - skip
        except FileNotFoundError as error:
            raise Damage(f"its data file, {file.name}, is missing", "put it beside its header") from error
        if found < declared // len(files):
            which = f"its data file, {file.name}," if start == 0 and len(files) > 1 else "it"
            raise Damage(f"{which} is damaged or cut short: there is less data than the header declares")


def _require_numbers(
    path: Path, start: int, count: int, skip: int = 0, lines: int = 0, letters: bytes = NUMBER
) -> None:
    """Data in text begin with ``count`` numbers: readers leave what is missing as it was in memory, or crash.

    Args:
        letters: what they may be made of.
    """
    with path.open("rb") as data:
        data.seek(start)
        for _ in range(lines):
            data.readline(CHUNK)
        data.seek(skip, os.SEEK_CUR)
        rest = b""
        while count > 0:
            part = data.read(CHUNK)
            text = (rest + part).replace(b",", b" ")
            found = text.split()
            rest = found.pop() if part and found and not text[-1:].isspace() else b""
            if b"".join(found[:count]).translate(None, letters):
                raise Damage("it is damaged: its data is no text of numbers")
            count -= len(found)
            if not part and count > 0:
                raise Damage("it is damaged or cut short: there is less data than the header declares")


def _length(data: BinaryIO, packing: str, length: int = 0) -> int:
    """Bytes after unpacking, all of which were compared with their checksum."""
    try:
        if packing == "raw":
            return os.fstat(data.fileno()).st_size - data.tell()
        if packing in ("gzip", "zlib"):
            return sum(map(len, _inflated(data, length)))
    except EOFError as error:
        raise Damage("it is damaged or cut short: its packed data has no end") from error
    except (zlib.error, OSError) as error:
        raise Damage("it is damaged: its packed data does not match its checksum") from error
    raise Damage("its data is packed in a way that is not known")


def _inflated(data: BinaryIO, length: int = 0) -> Iterator[bytes]:
    """Unpacked parts of a zlib stream, or of the members of a gzip file; of ``length`` bytes, 0 for all."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    end = data.tell() + length
    while True:
        part = unpacker.unconsumed_tail or data.read(max(0, min(CHUNK, end - data.tell())) if length else CHUNK)
        unpacked = unpacker.decompress(part, CHUNK)
        yield unpacked
        if unpacker.eof:
            rest = unpacker.unused_data + data.read(len(GZIP))
            if not rest.startswith(GZIP):
                return
            data.seek(-len(rest), os.SEEK_CUR)
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        elif not part and not unpacked:
            raise EOFError


def _start(path: Path) -> tuple[bytes, str]:
    """The first bytes, unpacked, and how the file is packed; a name in ``.gz`` may lie."""
    with path.open("rb") as file:
        packed = path.name.lower().endswith(".gz") and file.read(len(GZIP)) == GZIP
        file.seek(0)
        if not packed:
            return file.read(START_BYTES), "raw"
        try:
            return next(_inflated(file))[:START_BYTES], "gzip"
        except (zlib.error, EOFError) as error:
            raise Damage("it is damaged: its packed data does not match its checksum") from error


def _require_dicom_or_survival(path: Path) -> None:
    with path.open("rb") as file:
        dicom = file.read(DICOM_MARK_AT + len(DICOM_MARK)).endswith(DICOM_MARK)
    if not dicom:
        try:
            _require_survival(path)
        except Damage as damage:
            raise Damage(f"{damage}, or its format is not read here", "save it as .nrrd or .nii.gz") from damage
        return
    if path.name.upper() == INDEX:
        raise Damage("it is the index of DICOM files", "give the folder with the files of one series")
    try:
        with quiet_stderr, plain_name(path) as name:
            require_dicom(Path(name))
    except RuntimeError as error:
        raise Damage(
            "it is a DICOM file that is damaged, cut short or without an image",
            "export it again, or load it in Slicer and save it as .seg.nrrd or .nrrd",
        ) from error


def _require_survival(path: Path) -> None:
    """Read the file in a process of its own first, which may end as it likes."""
    try:
        with plain_name(path.absolute()) as name:
            command = [sys.executable, "-I", "-c", _TRIAL, name, *sys.path]
            done = subprocess.run(command, capture_output=True, timeout=SECONDS_TO_READ, check=False)
    except subprocess.TimeoutExpired as error:
        raise Damage("reading it does not come to an end") from error
    if done.returncode:
        raise Damage("it is damaged, cut short or no medical image")


_TRIAL = """
import os, sys
path, sys.path[:] = sys.argv[1], sys.argv[2:]
os.environ["ITK_GLOBAL_DEFAULT_THREADER"] = "Platform"
try:
    import resource
    memory = 4 * os.stat(path).st_size + (1 << 31)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
except (ImportError, OSError, ValueError):
    pass
import SimpleITK
SimpleITK.ReadImage(path)
os._exit(0)
"""
