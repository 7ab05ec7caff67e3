"""What is painted: the support slices of every segment, read from a label map, and what was doubted on the way.

A painted slice is complete for the segment that is painted on it and says nothing of the others, except that its voxels
are not theirs. Paint that cannot be a complete slice is left out with a warning; where nothing sensible is left, it is
refused. Left-out paint is no support: its slices are filled like unpainted ones. Slices and an axis that the caller
names are taken as they are.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ..errors import InputError
from . import doubt
from .doubt import Doubt
from .parts import Part
from .residue import brush_discs, stray_marks
from .segment_paint import Mask, SegmentPaint, pick
from .sheets import Sheets, SliceAxis

Labels = NDArray[np.unsignedinteger[Any]]
NamedSlices = Sequence[int] | Mapping[int, Sequence[int]]

# More neighbouring slices than anybody is taken to paint one after the other.
_SLIVERS = 8


@dataclass(frozen=True, eq=False)
class PaintedSlices:
    """Support slices of one axis.

    Attributes:
        index: ascending indices of the slices.
        labels: (S, rows, columns) label values of the paint that counts; 0 elsewhere.
    """

    index: tuple[int, ...]
    labels: Labels


@dataclass(frozen=True, eq=False)
class Paint:
    """The painted slices of one volume.

    Attributes:
        axes: label value → array axis across which the segment is painted.
        slices: label value → ascending indices of its support slices, those named as empty among them.
        warnings: paint that was left out.
        stacks: axis → the support slices of the segments painted across it.
        named: slices that were named for all segments.
        empty: label value → slices that were named for the segment, by themselves or for all, and have no paint of it.
    """

    axes: dict[int, int]
    slices: dict[int, tuple[int, ...]]
    warnings: tuple[Doubt, ...] = ()
    stacks: dict[int, PaintedSlices] = field(default_factory=dict)
    named: tuple[int, ...] = ()
    empty: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def values(self) -> tuple[int, ...]:
        """The label values that are painted, ascending."""
        return tuple(self.slices)

    @property
    def axis(self) -> int:
        """The slice axis of all segments.

        Raises:
            InputError: segments are painted across different axes; see :meth:`along`.
        """
        if len(self.stacks) > 1:
            raise InputError(
                "The segments are painted along different axes; paint all along one, or segment them one at a time."
            )
        return next(iter(self.stacks))

    @property
    def index(self) -> tuple[int, ...]:
        """Ascending indices of the slices that are support of any segment."""
        return self.stacks[self.axis].index

    @property
    def labels(self) -> Labels:
        """(S, rows, columns) label values on the slices of :attr:`index`; 0 is background or paint left out."""
        return self.stacks[self.axis].labels

    @property
    def doubtful(self) -> dict[int, tuple[tuple[int, int], ...]]:
        """Label value → (axis, index) of each slice whose paint was left out."""
        found: dict[int, tuple[tuple[int, int], ...]] = {}
        for warning in self.warnings:
            rows = tuple((warning.axis, index) for index in warning.slices)
            found[warning.value] = found.get(warning.value, ()) + rows
        return found

    def along(self, axis: int) -> Paint:
        """The segments that are painted across ``axis``."""
        values = [value for value in self.values if self.axes[value] == axis]
        return Paint(
            dict.fromkeys(values, axis),
            {value: self.slices[value] for value in values},
            tuple(warning for warning in self.warnings if self.axes.get(warning.value, axis) == axis),
            {axis: self.stacks[axis]},
            self.named,
            {value: own for value, own in self.empty.items() if value in values},
        )

    def masks(self, value: int) -> Mask:
        """(slices of the segment, rows, columns): where ``value`` is painted on its own support slices."""
        stack = self.stacks[self.axes[value]]
        return np.asarray(stack.labels[np.searchsorted(stack.index, self.slices[value])] == value)

    def elsewhere(self, value: int) -> dict[int, Mask]:
        """Slice → (rows, columns) where something else is painted, on slices that are not the segment's own."""
        stack, own = self.stacks[self.axes[value]], set(self.slices[value])
        pairs = zip(stack.index, stack.labels, strict=True)
        return {index: (labels > 0) & (labels != value) for index, labels in pairs if index not in own}

    def still_empty(self, value: int, slices: Sequence[int], axis: int) -> set[int]:
        """What of the slices that were named as empty stays so for a segment that is painted on ``slices`` across
        ``axis`` now; for a segment that is new, of those that were named for all."""
        if axis not in self.stacks or self.axes.get(value, axis) != axis:
            return set()
        return {*self.empty.get(value, () if value in self.axes else self.named)} - {*slices}


def read_paint(
    painted: ArrayLike,
    shape: Sequence[int],
    slices: NamedSlices | None = None,
    axis: int | None = None,
    names: Mapping[int, str] | None = None,
) -> Paint:
    """Find the support slices of every segment of a label map.

    Args:
        painted: (K, J, I) integer labels, 0 where nothing is painted.
        shape: the shape of the image that was painted on.
        slices: which slices are support: a list is complete for all segments, a mapping names them by label value.
            By default every slice of a segment with paint is. A named slice on which a segment has no paint says that
            it is absent there; one with no paint on any of them is left out.
        axis: the slice axis; found from the paint, for each segment, when None.
        names: label value → name, for warnings and errors; those of segments that are read on their own among them.

    Raises:
        InputError: the paint cannot be used; the message says what to do.
    """
    labels, axis, named = _checked(painted, tuple(shape), slices, axis)
    if names is not None and not isinstance(names, Mapping):
        raise InputError('Names are given by label value: {1: "liver"}.')
    segments = _segments(labels)
    if not segments:
        raise InputError("Nothing is painted; paint the structure on at least one slice, better on three to five.")
    words = _Words(names or {}, several=len({*segments, *(names or ())}) > 1)
    if isinstance(named, dict):
        missing = [value for value in named if value not in segments]
        if missing:
            raise InputError(
                f"Slices are named for label {missing[0]}, which is not painted; paint it or leave it out."
            )
    sheets = {value: Sheets(paint) for value, paint in segments.items()}
    axes = _axes(sheets, axis, named, words)
    support: dict[int, tuple[int, ...]] = {}
    empty: dict[int, tuple[int, ...]] = {}
    warnings: list[Doubt] = []
    for value, paint in segments.items():
        own = named.get(value) if isinstance(named, dict) else named
        if own is None:
            support[value], doubts = _doubted(value, sheets[value], axes[value], words)
            warnings += doubts
            continue
        outside = [i for i in own if not 0 <= i < labels.shape[axes[value]]]
        if outside:
            raise InputError(
                f"Slice {outside[0]} lies outside the volume; slices along axis {axes[value]} go from 0 to "
                f"{labels.shape[axes[value]] - 1}."
            )
        painted_on = [i + paint.corner[axes[value]] for i in paint.slices(axes[value])]
        if not {*painted_on}.isdisjoint(own):
            support[value], empty[value] = own, tuple(i for i in own if i not in painted_on)
        elif isinstance(named, dict):
            raise InputError(
                f"None of the slices named{words.of(value, ' for ')} is painted; name at least one slice with paint."
            )
        else:
            warnings.append(doubt.elsewhere(value, words.name(value), axes[value], painted_on))
    if not support:
        whose = f" for {' and '.join(map(words.name, segments))}" if names else ""
        raise InputError(f"None of the named slices is painted{whose}; name at least one slice with paint.")
    axes = {value: axes[value] for value in support}
    stacks = {one: _stack(labels, one, support, axes, segments) for one in sorted(set(axes.values()))}
    return Paint(axes, support, tuple(warnings), stacks, named if isinstance(named, tuple) else (), empty)


def read_segment(
    paint: Mask, corner: Sequence[int], shape: Sequence[int]
) -> tuple[int, tuple[int, ...], tuple[Doubt, ...]]:
    """Slice axis, support slices and doubts of a single segment, as :func:`read_paint` finds them.

    Args:
        paint: (k, j, i) where it is painted, in a box that holds all of it.
        corner: which voxel of the volume is the first one of the box.
        shape: of the volume.

    Raises:
        InputError: the paint cannot be used; the message says what to do.
    """
    one = _segment(paint, corner, shape)
    words = _Words({}, several=False)
    axis = _axes({1: Sheets(one)}, None, None, words)[1]
    slices, doubts = _doubted(1, Sheets(one), axis, words)
    plane = int(np.prod([n for a, n in enumerate(one.shape) if a != axis]))
    for index in slices:
        if one.areas[axis][index - one.corner[axis]] == plane:
            raise _fills(index)
    return axis, slices, tuple(doubts)


def named_axis(slices: Sequence[int], parts: Sequence[Part]) -> int:
    """The axis of slices that are named for all of some segments, which may overlap, as :func:`read_paint` finds it.

    Raises:
        InputError: the segments are painted across different ones.
    """
    sheets = {n: Sheets(_segment(part.box, part.corner, part.shape)) for n, part in enumerate(parts, start=1)}
    return _axes(sheets, None, _ascending(slices), _Words({}, several=len(parts) > 1))[1]


def _segment(paint: Mask, corner: Sequence[int], shape: Sequence[int]) -> SegmentPaint:
    """The paint of a segment in a box that holds all of it, whose first voxel is voxel ``corner`` of a volume."""
    occupied = [np.arange(n) + first for n, first in zip(paint.shape, corner, strict=True)]
    return SegmentPaint.of(paint, shape, occupied)


@dataclass(frozen=True)
class _Words:
    """How segments are called in sentences; not at all where there is only one."""

    names: Mapping[int, str]
    several: bool

    def of(self, value: int, before: str = " of ") -> str:
        return f"{before}{self.name(value)}" if self.several else ""

    def name(self, value: int) -> str:
        return f"'{self.names[value]}'" if value in self.names else f"segment {value}"


def _checked(
    painted: ArrayLike, shape: tuple[int, ...], slices: NamedSlices | None, axis: int | None
) -> tuple[NDArray[Any], int | None, tuple[int, ...] | dict[int, tuple[int, ...]] | None]:
    try:
        labels = np.asarray(painted)
        axis = None if axis is None else operator.index(axis)
    except (TypeError, ValueError) as error:
        raise InputError("Paint must be an array of labels, and the axis one of the whole numbers 0 to 2.") from error
    named: tuple[int, ...] | dict[int, tuple[int, ...]] | None = None
    try:
        if isinstance(slices, Mapping):
            named = {operator.index(value): _ascending(own) for value, own in slices.items()}
        elif slices is not None:
            named = _ascending(slices)
    except TypeError as error:
        raise InputError(
            "Name slices by whole numbers, [3, 9] for all labels or {1: [3, 9]} for some; leave out a label of which "
            "every slice with paint is complete."
        ) from error
    if labels.shape != shape:
        raise InputError(
            f"The painted label map has the size {_size(labels.shape)} and the image {_size(shape)}; "
            "paint on the image's own grid."
        )
    if labels.ndim != 3:
        raise InputError(f"The painted label map has {labels.ndim} axes instead of 3; give a volume.")
    if axis is not None and axis not in (0, 1, 2):
        raise InputError(f"The slice axis {axis} does not exist; choose 0, 1 or 2.")
    return labels, axis, named


def _ascending(slices: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({operator.index(i) for i in slices}))


def _segments(labels: NDArray[Any]) -> dict[int, SegmentPaint]:
    """Label value → its paint, ascending."""
    occupied = _occupied(labels)
    if not len(occupied[0]):
        return {}
    packed = _as_labels(pick(labels, occupied))
    found = {}
    for value, box in enumerate(ndimage.find_objects(packed), start=1):
        if box is not None:
            kept = [own[part] for own, part in zip(occupied, box, strict=True)]
            found[value] = SegmentPaint.of(np.asarray(packed[box] == value), labels.shape, kept)
    return found


def _as_labels(labels: NDArray[Any]) -> Labels:
    """The labels as uint8 or uint16, without a copy when they are that already."""
    if labels.dtype in (np.uint8, np.uint16):
        return labels
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        raise InputError("The painted label map holds fractions; labels must be whole numbers from 0 to 65535.")
    if labels.dtype.kind not in "biuf" or labels.min() < 0 or labels.max() > 65535:
        raise InputError("The painted label map must hold whole numbers from 0 to 65535.")
    return labels.astype(np.uint8 if labels.max() < 256 else np.uint16)


def _occupied(labels: NDArray[Any]) -> list[NDArray[np.intp]]:
    """For each axis the ascending indices of the slices that hold anything but 0.

    The axes are gone through in the order in which they lie in memory, each on what the one before has left: a label
    map is large and its paint is not.
    """
    if labels.dtype.kind not in "biuf":
        raise InputError("The painted label map must hold whole numbers from 0 to 65535.")
    order = sorted(range(3), key=lambda axis: -abs(labels.strides[axis]))
    stack = labels.transpose(order)
    first = np.flatnonzero([_any(plane) for plane in stack])
    projection = np.zeros(stack.shape[1:], bool)
    for index in first:
        projection |= stack[index] != 0
    hit = [first, np.flatnonzero(projection.any(axis=1)), np.flatnonzero(projection.any(axis=0))]
    return [hit[order.index(axis)] for axis in range(3)]


def _any(plane: NDArray[Any]) -> bool:
    """Whether a plane holds anything but 0; the largest value of bytes is found faster than the first that is true."""
    return bool(plane.max() != 0 or (plane.dtype.kind in "if" and plane.min() != 0))


def _axes(
    segments: dict[int, Sheets],
    axis: int | None,
    named: tuple[int, ...] | dict[int, tuple[int, ...]] | None,
    words: _Words,
) -> dict[int, int]:
    """Label value → slice axis; what a segment's own paint does not tell, the others' may."""
    own: dict[int, SliceAxis] = {}
    for value, sheets in segments.items():
        free = named is None or (isinstance(named, dict) and value not in named)
        if axis is None and free and sheets.is_oblique:
            raise InputError(
                f"The paint{words.of(value)} lies on planes that are turned against the volume's slices; align the "
                "slice views to the volume and paint again, or name the slices and the axis."
            )
        own[value] = sheets.axis
        if (
            axis is not None
            and free
            and own[value].axis not in (None, axis)
            and _contradicts(sheets.paint, axis, own[value])
        ):
            raise InputError(
                f"The paint{words.of(value)} lies on slices of axis {own[value].axis}, not of axis {axis}; segment "
                "it alone, leave the axis out or name the slices."
            )
    if axis is not None:
        return dict.fromkeys(segments, axis)
    sure = {found.axis for found in own.values() if found.sure and found.axis is not None}
    common = next(iter(sure)) if len(sure) == 1 else None
    if isinstance(named, tuple):
        if len(sure) > 1:
            raise InputError("The segments are painted along different axes; name the axis of the named slices too.")
        if common is None:
            common = _axis_of(named, [sheets.paint for sheets in segments.values()])
        return dict.fromkeys(segments, common)
    axes = {}
    for value, found in own.items():
        if isinstance(named, dict) and value in named and not found.sure:
            axes[value] = common if common is not None else _axis_of(named[value], [segments[value].paint])
        elif not found.sure and common is not None:
            axes[value] = common
        elif found.axis is None:
            raise InputError(
                f"It cannot be told from the paint{words.of(value)} along which axis the slices lie; name the axis, or "
                "leave some slices between the painted ones."
            )
        else:
            axes[value] = found.axis
    return axes


def _axis_of(named: Sequence[int], paints: Sequence[SegmentPaint]) -> int:
    """The axis whose slices with paint are most nearly the named ones."""

    def differing(axis: int) -> int:
        occupied = {i + paint.corner[axis] for paint in paints for i in paint.slices(axis)}
        return len(occupied ^ set(named))

    return min(range(3), key=differing)


def _contradicts(paint: SegmentPaint, axis: int, found: SliceAxis) -> bool:
    """Whether paint is sheets across another axis beyond doubt, so that across ``axis`` there would be slivers only."""
    occupied = len(paint.slices(axis))
    return (
        found.sure and found.axis is not None and paint.apart(found.axis) and paint.extent[axis] == occupied > _SLIVERS
    )


def _doubted(value: int, sheets: Sheets, axis: int, words: _Words) -> tuple[tuple[int, ...], list[Doubt]]:
    """The slices of a segment that are complete, and doubts about the rest of its paint."""
    paint = sheets.paint
    start = paint.corner[axis]
    whose = words.of(value)
    slices = paint.slices(axis)
    doubts = []
    planes, alone = sheets.other_planes(axis)
    if planes:
        slices = [i for i in slices if i not in alone]
        if 2 * len(planes) > len(slices):
            raise InputError(
                f"Slices{whose} are painted along several axes at once; paint along one axis, or name the slices and "
                "the axis."
            )
        for other in sorted({other for other, _ in planes}):
            indices = [index + paint.corner[other] for one, index in planes if one == other]
            doubts.append(doubt.plane(value, whose, other, indices, axis))
    discs = brush_discs(paint, axis, slices)
    if discs:
        slices = [i for i in slices if i not in discs]
        beside = sorted({i + start for around in discs.values() for i in around})
        doubts.append(doubt.brush(value, whose, axis, [i + start for i in sorted(discs)], beside))
    marks = stray_marks(paint, axis, slices)
    if marks:
        slices = [i for i in slices if i not in marks]
        doubts.append(doubt.stray(value, whose, axis, [i + start for i in marks], sum(marks.values())))
    return tuple(i + start for i in slices), doubts


def _stack(
    labels: NDArray[Any],
    axis: int,
    support: dict[int, tuple[int, ...]],
    axes: dict[int, int],
    segments: dict[int, SegmentPaint],
) -> PaintedSlices:
    """The support slices across one axis, with the paint that counts."""
    index = sorted({i for value, own in support.items() if axes[value] == axis for i in own})
    front = np.moveaxis(labels, axis, 0)
    planes = np.stack([front[i] for i in index])
    full = [i for i, plane in zip(index, planes, strict=True) if plane.all()]
    if full:
        raise _fills(full[0])
    planes = planes.astype(np.uint8 if max(segments) < 256 else np.uint16, copy=False)
    for value, paint in segments.items():
        counts = support.get(value, ()) if axes.get(value) == axis else ()
        rest = {i + paint.corner[axis] for i in paint.slices(axis)} & set(index) - set(counts)
        for i in rest:
            plane = planes[index.index(i)]
            plane[plane == value] = 0
    return PaintedSlices(tuple(index), planes)


def _fills(index: int) -> InputError:
    return InputError(
        f"The paint fills the whole of slice {index}; paint the structure only and leave its surroundings free."
    )


def _size(shape: Sequence[int]) -> str:
    return " × ".join(str(n) for n in shape)
