"""The one check of what `--device` says."""

from __future__ import annotations

from bench.errors import BenchError

DEVICES = ("auto", "cpu", "cuda")


def checked(name: str) -> str:
    """ "cpu" or "cuda": where the work is done. `auto` takes a GPU where torch sees one.

    Raises BenchError for other names, and for cuda without a GPU.
    """
    import torch  # not before a command needs it

    if name not in DEVICES:
        one = "; CUDA_VISIBLE_DEVICES chooses one of several GPUs" if name.startswith(("cuda", "gpu")) else ""
        raise BenchError(f"--device: {name!r} is none of {', '.join(DEVICES)}{one}")
    seen = torch.cuda.is_available()
    if name == "cuda" and not seen:
        raise BenchError("--device cuda: no GPU is visible to torch; use --device cpu")
    return "cuda" if seen and name != "cpu" else "cpu"
