"""Slicer's translation of texts where there is one; elsewhere texts stay as they are."""

try:
    from slicer.i18n import tr, translate
except ImportError:
    from .runtime import tr, translate

__all__ = ["tr", "translate"]
