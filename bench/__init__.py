"""The harness of face-inpaint-bench: data, training, evaluation, metrics and the `facebench` command."""

__version__ = "0.1.0"
