"""What a segment stands for, in codes: in Slicer's terminology tag, and in DICOM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..imports import explained_imports

TAG = "TerminologyEntry"
CONTEXT = "Segmentation category and type - DICOM master list"
ANATOMIC_CONTEXT = "Anatomic codes - DICOM master list"
LONGEST_MEANING, LONGEST_VALUE = 64, 16


class Code(NamedTuple):
    """A coded concept; the scheme is ``SCT`` for SNOMED CT."""

    scheme: str
    value: str
    meaning: str

    @classmethod
    def from_text(cls, text: str) -> Code | None:
        """Of ``scheme^value^meaning``; None where one of them is empty."""
        parts = [part.strip() for part in text.split("^")]
        return cls(*parts) if len(parts) == 3 and all(parts) else None

    @classmethod
    def from_item(cls, item: Any) -> Code | None:
        value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
        found = cls(*(str(x or "") for x in (item.get("CodingSchemeDesignator"), value, item.get("CodeMeaning"))))
        return found if all(found) else None

    def to_item(self) -> Any:
        """As an item of a sequence."""
        with explained_imports():
            from pydicom.dataset import Dataset
        item = Dataset()
        setattr(item, "CodeValue" if len(self.value) <= LONGEST_VALUE else "LongCodeValue", self.value)
        item.CodingSchemeDesignator, item.CodeMeaning = self.scheme, self.meaning[:LONGEST_MEANING]
        return item


TISSUE = Code("SCT", "85756007", "Tissue")
ANATOMICAL_STRUCTURE = Code("SCT", "123037004", "Anatomical Structure")
SIDES = {"left": Code("SCT", "7771000", "Left"), "right": Code("SCT", "24028007", "Right")}


@dataclass(frozen=True)
class Term:
    """What a segment stands for: a type of a category, and where in the body."""

    category: Code
    type: Code
    modifier: Code | None = None
    region: Code | None = None
    region_modifier: Code | None = None

    @classmethod
    def from_tag(cls, text: str) -> Term | None:
        """Of Slicer's tag; None where it names no category or type."""
        parts = [*text.split("~"), *[""] * 7]
        category, kind, modifier = (Code.from_text(part) for part in parts[1:4])
        if category is None or kind is None:
            return None
        return cls(category, kind, modifier, Code.from_text(parts[5]), Code.from_text(parts[6]))

    @classmethod
    def from_name(cls, name: str) -> Term:
        """An anatomical structure that DICOM has a code for under this name, left or right; a tissue else."""
        with explained_imports():
            from pydicom.sr.codedict import codes

        words = name.replace("_", " ").replace("-", " ").lower().split()
        sides = [SIDES[word] for word in words if word in SIDES]
        keyword = "".join(word.capitalize() for word in words if word not in SIDES)
        try:
            found = getattr(codes.cid7192, keyword) if keyword.isidentifier() else None
        except AttributeError:
            found = None
        if found is None or len(sides) > 1:
            return cls(TISSUE, TISSUE)
        kind = Code(found.scheme_designator, found.value, found.meaning)
        return cls(ANATOMICAL_STRUCTURE, kind, *sides)

    @classmethod
    def from_items(cls, kind: Any, category: Any, region: Any) -> Term | None:
        """Of DICOM items, each of which may be None; None where the type is missing."""
        found = Code.from_item(kind) if kind is not None else None
        if found is None:
            return None
        general = Code.from_item(category) if category is not None else None
        where = Code.from_item(region) if region is not None else None
        return cls(
            general or ANATOMICAL_STRUCTURE,
            found,
            _first(kind, "SegmentedPropertyTypeModifierCodeSequence"),
            where,
            None if where is None else _first(region, "AnatomicRegionModifierSequence"),
        )

    def type_item(self) -> Any:
        item = self.type.to_item()
        if self.modifier is not None:
            item.SegmentedPropertyTypeModifierCodeSequence = [self.modifier.to_item()]
        return item

    def region_items(self) -> list[Any]:
        """None or one."""
        if self.region is None:
            return []
        item = self.region.to_item()
        if self.region_modifier is not None:
            item.AnatomicRegionModifierSequence = [self.region_modifier.to_item()]
        return [item]

    def to_tag(self) -> str:
        """As Slicer keeps it."""
        codes = (self.category, self.type, self.modifier, self.region, self.region_modifier)
        category, kind, modifier, region, region_modifier = ("^".join(one) if one else "^^" for one in codes)
        parts = (CONTEXT, category, kind, modifier, ANATOMIC_CONTEXT, region, region_modifier)
        return "~".join(parts)


def _first(item: Any, sequence: str) -> Code | None:
    return next((Code.from_item(one) for one in item.get(sequence) or ()), None)
