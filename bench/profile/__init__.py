"""Cost of a method: parameters, multiply-accumulates, time and memory."""

from __future__ import annotations

from bench.profile.counting import Operations, count_macs, count_operations, count_parameters
from bench.profile.thop import count_by_thop

__all__ = ["Operations", "count_by_thop", "count_macs", "count_operations", "count_parameters"]
