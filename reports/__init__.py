"""Reports: tables, figures and pages, made from a run's result tables and nothing else (no torch needed)."""

from __future__ import annotations

from reports.report import build
from reports.table import Table
from reports.tables import by_metric, main_table

__all__ = ["Table", "build", "by_metric", "main_table"]
