#!/usr/bin/env bash
# A network that draws noise, as generators of StyleGAN2's kind do at each layer, is exported to ONNX and run by
# OpenVINO: its noise is no normal distribution any more, and all layers of one size get the same noise. OpenVINO
# makes normal numbers of two uniform ones (Box and Muller). Without a seed in the file, and torch's exporter writes
# none, both have the seed 0, which is to mean "any"; then operations that have the same inputs and attributes are
# merged, these too, so that radius and angle are one number. Converted from torch without a file, normal noise is
# right, but two calls of `rand_like` give the same numbers.
# Where to see it: src/frontends/common/src/random_normal_helper.cpp (`seed_1`, `seed_2`); the merging is seen as
# 4 RandomUniform in the model that is read and 1 in the converted one.
# Versions: openvino 2026.4.1, onnxruntime 1.32.0, onnx 1.23.2, onnxscript 0.7.2, torch 2.13.0 (CPU), NumPy 2.4.6,
# Python 3.11.
# Seen, two layers of noise: mean 0, standard deviation 1, skewness 0, correlation 0 in torch and in ONNX Runtime with
# the same file; 0.06, 1.06, 1.0 and a correlation of 1 in OpenVINO.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 openvino==2026.4.1
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
import numpy as np
import onnxruntime
import openvino
import torch

torch.set_num_threads(1)


class Noise(torch.nn.Module):
    """Two layers, each of which adds noise to its map."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, map):
        return map + self.draw(map), map + self.draw(map)


def told(name, first, second):
    values = np.asarray(first, np.float64).ravel()
    mean, deviation = values.mean(), values.std()
    skewness = (((values - mean) / deviation) ** 3).mean()
    correlation = np.corrcoef(values, np.asarray(second).ravel())[0, 1]
    print(f"{name}: mean {mean:.2f}, deviation {deviation:.2f}, skewness {skewness:.2f}, correlation {correlation:.2f}")
    return mean, deviation, skewness, correlation


def uniforms(model):
    return sum(node.get_type_name() == "RandomUniform" for node in model.get_ops())


def by_openvino(model, map):
    return [np.array(value) for value in openvino.compile_model(model, "CPU")(map.numpy()).values()]


map = torch.zeros(1, 1, 512, 512)
network = Noise(torch.randn_like).eval()
torch.onnx.export(network, (map,), "noise.onnx", dynamo=True, verbose=False)
session = onnxruntime.InferenceSession("noise.onnx", providers=["CPUExecutionProvider"])
read, converted = openvino.Core().read_model("noise.onnx"), openvino.convert_model("noise.onnx")
print(f"RandomUniform in the model as read: {uniforms(read)}, as converted: {uniforms(converted)}")
right = [
    told("randn_like, torch", *network(map)),
    told("randn_like, ONNX Runtime", *session.run(None, {session.get_inputs()[0].name: map.numpy()})),
    told("randn_like, OpenVINO, from torch", *by_openvino(openvino.convert_model(network, example_input=map), map)),
]
wrong = [
    told("randn_like, OpenVINO, file as read", *by_openvino(read, map)),
    told("randn_like, OpenVINO, file converted", *by_openvino(converted, map)),
]
network = Noise(torch.rand_like).eval()
told("rand_like, torch", *network(map))
uniform = told("rand_like, OpenVINO, from torch", *by_openvino(openvino.convert_model(network, example_input=map), map))

assert np.allclose(right, [0, 1, 0, 0], atol=0.03), "the behaviour has changed"
assert np.allclose(wrong, [0.06, 1.06, 1.01, 1], atol=0.03) and uniform[-1] > 0.99, "the behaviour has changed"
assert uniforms(converted) == 1, "the behaviour has changed"
PYTHON
