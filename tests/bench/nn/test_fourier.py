"""Fast Fourier convolution: its mathematics at even and odd sizes."""

from __future__ import annotations

import pytest
import torch

from bench.nn.fourier import FFC, FFCResBlock, FourierUnit, SpectralTransform, split

SIZES = [(8, 8), (7, 8), (8, 7), (9, 5), (1, 1)]


@pytest.mark.parametrize("size", SIZES)
def test_fourier_units_of_opposite_identities_give_the_picture_back(size: tuple[int, int]) -> None:
    """With weights I and -I, the ReLUs of both add up to the spectrum: u(x) - u'(x) = x."""
    torch.manual_seed(0)
    unit = FourierUnit(3, norm=False).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    parts = []
    for sign in (1, -1):
        unit.conv_layer.weight.data = sign * torch.eye(6, dtype=torch.float64)[..., None, None]
        parts.append(unit(x))
    torch.testing.assert_close(parts[0] - parts[1], x)


def test_real_and_imaginary_parts_are_neighbouring_channels() -> None:
    unit = FourierUnit(2, norm=False).double()
    seen = []
    unit.conv_layer.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    x = torch.randn(1, 2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    unit(x)
    spectrum = torch.fft.rfft2(x, norm="ortho")
    expected = torch.stack([spectrum.real, spectrum.imag], dim=2).flatten(1, 2)
    assert seen[0].shape == (1, 4, 6, 3)
    torch.testing.assert_close(seen[0], expected)


def test_one_unit_sees_the_whole_picture() -> None:
    torch.manual_seed(0)
    unit = FourierUnit(1).eval()
    x = torch.randn(1, 1, 9, 12, requires_grad=True)
    (gradient,) = torch.autograd.grad(unit(x)[0, 0, 0, 0], x)
    assert (gradient != 0).float().mean() > 0.95


def test_low_precision_is_transformed_in_float32() -> None:
    torch.manual_seed(0)
    unit = FourierUnit(4, norm=False)
    x = torch.randn(1, 4, 7, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = unit(x.bfloat16())
    assert low.dtype == torch.bfloat16
    assert (low.float() - unit(x)).abs().max() < 0.05


@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_block_keeps_the_shape_and_adds_a_branch_that_is_never_negative(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    local, whole = split(16)
    assert (local, whole) == (4, 12)
    pair = torch.randn(2, local, *size), torch.randn(2, whole, *size)
    out = FFCResBlock((local, whole))(pair)
    for before, after in zip(pair, out, strict=True):
        assert after.shape == before.shape
        assert (after - before).min() >= -1e-6
        assert (after - before).max() > 0


def test_parts_without_channels_have_no_convolutions() -> None:
    first = FFC((4, 0), (2, 6), 3, stride=2, padding=1)
    assert {name.split(".")[0] for name, _ in first.named_parameters()} == {"convl2l", "convl2g"}
    local, whole = first(torch.randn(1, 4, 8, 8), None)
    assert local.shape == (1, 2, 4, 4) and whole.shape == (1, 6, 4, 4)
    local, whole = FFC((4, 0), (8, 0), 3, padding=1)(torch.randn(1, 4, 8, 8), None)
    assert local.shape == (1, 8, 8, 8) and whole is None


def test_local_unit_repeats_the_spectrum_of_the_quadrants() -> None:
    torch.manual_seed(0)
    transform = SpectralTransform(8, 8, norm=False, local_unit=True)
    with torch.no_grad():
        transform.conv2.weight.copy_(torch.cat([torch.eye(4), torch.zeros(4, 4)])[..., None, None])
        x = torch.randn(1, 8, 8, 8)
        u = transform.conv1(x)
        tiled = (transform(x)[:, :4] - u - transform.fu(u))[0]
    for rows in (slice(0, 4), slice(4, 8)):
        for columns in (slice(0, 4), slice(4, 8)):
            torch.testing.assert_close(tiled[:, rows, columns], tiled[:, :4, :4])
    quadrants = torch.cat([u[:, :1, :4, :4], u[:, :1, 4:, :4], u[:, :1, :4, 4:], u[:, :1, 4:, 4:]], dim=1)
    torch.testing.assert_close(tiled[:, :4, :4], transform.lfu(quadrants)[0])
