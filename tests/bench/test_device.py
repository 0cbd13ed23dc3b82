from __future__ import annotations

import pytest
import torch

from bench.device import checked, found, tell_bf16
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


@pytest.mark.parametrize(
    ("place", "known", "told"),
    [
        ("cpu", {"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, True),
        ("cpu", {"avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, False),
        ("cuda", {"avx512_bf16": False}, False),
    ],
)
def test_bf16_on_a_processor_without_it_is_said(
    place: str, known: dict[str, bool], told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    tell_bf16(place)
    assert ("40 to 75 times as long" in capsys.readouterr().err) == told
