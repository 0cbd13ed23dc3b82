from __future__ import annotations

import pytest
import torch

from bench.device import checked, found
from bench.errors import BenchError


def test_a_caller_may_name_what_torch_knows() -> None:
    assert found("cpu") == found(torch.device("cpu")) == torch.device("cpu")
    assert found("auto").type == checked("auto")


@pytest.mark.parametrize(
    ("device", "message"),
    [("gpu", "'gpu' is none that torch knows: give cpu"), ("cuda:99", "'cuda:99' is no GPU that is visible to torch")],
)
def test_other_devices_are_refused(device: str, message: str) -> None:
    with pytest.raises(BenchError, match=f"^device: {message}"):
        found(device)
