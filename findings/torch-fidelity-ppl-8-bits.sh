#!/usr/bin/env bash
# torch-fidelity's perceptual path length moves a latent by 1e-4 and divides the squared change of the picture by 1e-8. By
# default it accepts pictures in 8 bits only, as its FID does. So small a step changes few pixels, but these by a whole
# level: what is measured is rounding. The number is 145 times too large here, and ten times as large at a tenth of the
# step, where a smooth generator's length does not depend on it. StyleGAN's code, which it follows, does not round.
# Cause: torch_fidelity/defaults.py, "ppl_sample_similarity_dtype": "uint8" beside "ppl_epsilon": 1e-4;
# sample_similarity_lpips.py refuses other pictures, and metric_ppl.py gives them to the network as they come.
# Versions: torch-fidelity 0.4.0, torch 2.14.1 (CPU), torchvision 0.29.1, NumPy 2.4.6, Python 3.11.
# Seen, a linear generator, steps 1e-2, 1e-3, 1e-4: float32 0.044, 0.044, 0.044; uint8 0.069, 0.65, 6.4.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch-fidelity==0.4.0 torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
import torch_fidelity
from torch_fidelity.sample_similarity_base import SampleSimilarityBase


class Squared(SampleSimilarityBase):
    """Stands for LPIPS, whose weights are not here: near a picture that is a squared difference, too."""

    def __init__(self, name, **options):
        super().__init__(name)

    def forward(self, one, other):
        return ((one.double() - other.double()) / 255).square().mean((1, 2, 3))


class Linear(torch.nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.weight = torch.randn(64, 3 * 32 * 32, generator=torch.Generator().manual_seed(0)) * 0.15 / 8
        self.dtype = dtype

    def forward(self, latents):
        pictures = 255 * (0.5 + latents.float() @ self.weight).clamp(0, 1).reshape(-1, 3, 32, 32)
        return pictures if self.dtype == "float32" else pictures.round().to(torch.uint8)


torch_fidelity.register_sample_similarity("squared", Squared)
found = {}
for dtype in ("float32", "uint8"):
    for step in (1e-2, 1e-3, 1e-4):
        model = torch_fidelity.GenerativeModelModuleWrapper(Linear(dtype), 64, "normal", 0)
        measured = torch_fidelity.calculate_metrics(
            input1=model, input1_model_num_samples=200, ppl=True, cuda=False, verbose=False, ppl_epsilon=step,
            ppl_sample_similarity="squared", ppl_sample_similarity_dtype=dtype,
            ppl_discard_percentile_lower=None, ppl_discard_percentile_higher=None,  # NumPy 2.4 has not what these need
        )
        found[dtype, step] = measured["perceptual_path_length_mean"]
    print(dtype, {step: round(found[dtype, step], 3) for step in (1e-2, 1e-3, 1e-4)})
assert abs(found["float32", 1e-2] / found["float32", 1e-4] - 1) < 0.01, "a smooth generator's length depends on no step"
assert found["uint8", 1e-4] > 50 * found["float32", 1e-4], "the behaviour has changed"
assert torch_fidelity.defaults.DEFAULTS["ppl_sample_similarity_dtype"] == "uint8", "the behaviour has changed"
assert torch_fidelity.defaults.DEFAULTS["ppl_epsilon"] == 1e-4, "the behaviour has changed"
PYTHON
