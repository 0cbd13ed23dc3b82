"""The numbers that the documented papers printed: in the shape of their tables, and beside one's own."""

from __future__ import annotations

from reports.published.compare import beside
from reports.published.coverage import coverage
from reports.published.shapes import load, names, table

__all__ = ["beside", "coverage", "load", "names", "table"]
