"""Blocks of networks beside an earlier build, by CPU time.

pytest -n 0 -m "slow or not slow" -s tests/perf/test_networks.py
"""

from __future__ import annotations

import pytest

from tests.perf import before

MODULATED = """
import time, torch
from bench.nn.stylegan2_blocks import ModulatedConv2d

torch.set_num_threads(1)
torch.manual_seed(0)
layer = ModulatedConv2d({channels}, {channels}, 3).eval()
x, code, spent = torch.randn(1, {channels}, {size}, {size}), torch.randn(1, 512), []
with torch.no_grad():
    for _ in range(20):
        begin = time.process_time()
        layer(x, code)
        spent.append(time.process_time() - begin)
print(min(spent))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "size", "most"), [(512, 8, 0.75), (64, 256, 1.1)])
def test_one_image_through_a_modulated_convolution(channels: int, size: int, most: float) -> None:
    """The shorter way where the filters hold more numbers than the maps, and none longer elsewhere."""
    share = before.ratio(MODULATED.format(channels=channels, size=size))
    print(f"{channels} channels, {size} px: {share:.2f} of the time that {before.COMMIT} took")
    assert share <= most
