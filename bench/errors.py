"""The one error that users see: a clear message, exit code 2."""

from __future__ import annotations


class BenchError(Exception):
    """Something the user can mend: names the file or key and the remedy. The command line exits with code 2."""
