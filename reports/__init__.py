"""Reports: tables, figures and pages, made from a run's result tables and nothing else (no torch needed)."""

from __future__ import annotations

from reports.comparison import Comparison, compare
from reports.layouts import Layout, arrange, by_metric
from reports.report import build, paper_tables, scores
from reports.table import Table
from reports.tables import main_table

__all__ = [
    "Comparison",
    "Layout",
    "Table",
    "arrange",
    "build",
    "by_metric",
    "compare",
    "main_table",
    "paper_tables",
    "scores",
]
