"""Samplers, with every field named: the library fills those that are left out with others in each class.

A folder's scheduler_config.json tells with which noise its network was trained (`TRAINED`); how its steps are taken is
declared here. Of samplers without declared fields, which are each of one family alone, the folder tells everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import BenchError

TRAINED = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
SAMPLERS: Mapping[str, tuple[str, Mapping[str, Any] | None]] = {
    "flow": ("FlowMatchEulerDiscreteScheduler", None),
    "ddpm": ("DDPMScheduler", None),
    "pndm": (
        "PNDMScheduler",
        {"skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading"},
    ),
    "ddim": (
        "DDIMScheduler",
        {
            "clip_sample": False,
            "clip_sample_range": 1.0,
            "set_alpha_to_one": False,
            "steps_offset": 1,
            "timestep_spacing": "leading",
            "thresholding": False,
            "dynamic_thresholding_ratio": 0.995,
            "sample_max_value": 1.0,
            "rescale_betas_zero_snr": False,
        },
    ),
    "euler": (
        "EulerDiscreteScheduler",
        {
            "interpolation_type": "linear",
            "use_karras_sigmas": False,
            "use_exponential_sigmas": False,
            "use_beta_sigmas": False,
            "sigma_min": None,
            "sigma_max": None,
            "timestep_spacing": "leading",
            "timestep_type": "discrete",
            "steps_offset": 1,
            "rescale_betas_zero_snr": False,
            "final_sigmas_type": "zero",
        },
    ),
}


def trained(said: Mapping[str, Any], place: object) -> dict[str, Any]:
    """With which noise a network was trained, of the content of the file `place`."""
    if missing := [name for name in TRAINED if name not in said]:
        raise BenchError(f"{place} lacks {', '.join(missing)}: it says with which noise the network was trained")
    found = {name: said[name] for name in TRAINED}
    return found | {
        "trained_betas": said.get("trained_betas"),
        "prediction_type": said.get("prediction_type", "epsilon"),
    }
