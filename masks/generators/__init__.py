"""The published mask generators, one file a family."""
