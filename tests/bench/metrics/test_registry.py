"""Declarations of the metrics."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from bench import metrics
from bench.errors import BenchError
from bench.metrics import extractors


@pytest.mark.parametrize("name", metrics.names())
def test_declarations_are_complete(name):
    metric = metrics.get(name)
    assert metric.name == name
    assert metric.title
    assert metric.equals
    assert metric.bounds[0] < metric.bounds[1]
    assert metric.version >= 1
    assert metric.extractor is None or metric.extractor in extractors.NAMES
    assert bool(metric.extractor) == bool(metric.features) == (metric.kind != "pixels")
    function = metric.load()
    assert inspect.getdoc(function)
    assert len(inspect.signature(function).parameters) == (1 if metric.kind == "set" else 3)
    if metric.between:
        other = metrics.get(metric.between)
        assert other.compares and not other.needs_mask and other.between is None
        assert (metric.function, metric.extractor) == (other.function, other.extractor)
    if metric.beside:
        other = metrics.get(metric.beside)
        assert other.beside is None
        assert other.extractor == metric.extractor or other.function == "landmarks:detected"


def test_embedded_is_in_name_and_title():
    """No number of the embedded network can be taken for an official one, and the reverse."""
    for name in metrics.names():
        metric = metrics.get(name)
        embedded = (metric.extractor or "").startswith("embedded")
        assert ("@embedded" in name) == embedded
        assert ("embedded" in metric.title) == embedded
    titles = [metrics.get(name).title for name in metrics.names()]
    assert len(set(titles)) == len(titles)
    assert metrics.get("fid").extractor == "inception"


def test_what_always_answers_has_a_detection_rate_beside_it():
    names = [name for name in metrics.names() if name.startswith("nme@")]
    assert len(names) >= 3
    for name in names:
        _, beside = metrics.expanded([name])
        assert beside.startswith("detection@")
    assert metrics.expanded(["detection@dlib", "nme@embedded"]) == ["detection@dlib", "nme@embedded"]
    assert metrics.expanded(["fid"]) == metrics.expanded(["fid"], 5000) == ["fid"]
    assert metrics.expanded(["fid"], 5) == ["fid", "fid-infinity"]


def test_unknown_names_show_the_closest():
    with pytest.raises(BenchError, match=r"unknown metric 'lpips': did you mean .*lpips@alex"):
        metrics.get("lpips")
    with pytest.raises(BenchError, match="unknown metric"):
        metrics.get("")


def test_references():
    metric = metrics.get("fid@embedded/train")
    assert metric.reference == "train"
    assert metric.title == "FID (embedded) against train"
    assert metric.beside == "fid-infinity@embedded/train"
    assert metrics.get("kid").reference is None
    with pytest.raises(BenchError, match="only FID and KID"):
        metrics.get("p-ids/train")
    with pytest.raises(BenchError, match="names no reference"):
        metrics.get("fid/")


def test_listing_imports_no_torch():
    code = "import sys, bench.metrics as m; m.names(); m.get('fid'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_measure_is_the_function_however_it_is_imported():
    import bench.metrics.measurement

    assert metrics.measure is bench.metrics.measurement.measure
    with pytest.raises(AttributeError):
        metrics.nothing  # noqa: B018
