#!/usr/bin/env bash
# Where a mask leaves a query nothing to look at, attention is 0 in torch (pytorch/pytorch#103963 was NaN). The file
# that torch exports to ONNX gives the mean of *all* values instead, those that are masked off. A transformer that
# completes pictures window by window, and looks at known tokens alone, has such windows wherever the hole covers one:
# in torch nothing comes from there, after the export what lies under the hole does, and the result depends on it.
# The exporter means to keep torch's rule: it writes a node that turns NaN into 0 after the softmax, for scores that
# are all minus infinity. But it fills in the least finite number, with which a softmax is never NaN. So the node is in
# the file and does nothing.
# Where to see it: onnxscript/function_libs/torch_lib/ops/nn.py, `_aten_scaled_dot_product_attention_bool_mask_onnx`:
# `neg_inf` is `query.dtype.min`, then `op.Where(op.IsNaN(attn_weight), zero, attn_weight)`, which came in with
# https://github.com/microsoft/onnxscript/pull/2479 for just this case.
# Versions: onnxscript 0.7.2, onnx 1.23.2, onnxruntime 1.32.0, torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11.
# Seen, four windows, the last one all hole: torch and ONNX Runtime agree in three; in the last one torch gives 0, ONNX
# Runtime the mean of the values under the hole. With 5 added to the picture under the hole torch's result stays, that
# of ONNX Runtime moves by 5 in that window.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 \
  onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import onnxscript
import torch
from torch.nn import functional as F

torch.set_num_threads(1)
torch.manual_seed(0)
print(f"torch {torch.__version__}, onnxscript {onnxscript.__version__}, onnxruntime {onnxruntime.__version__}")


class Windows(torch.nn.Module):
    """Attention within each window, to its known tokens alone."""

    def forward(self, query, tokens, known):
        return F.scaled_dot_product_attention(query, tokens, tokens, attn_mask=known[:, None, None, :])


query, tokens = torch.randn(4, 2, 16, 8), torch.randn(4, 2, 16, 8)  # windows, heads, tokens, channels
known = torch.ones(4, 16, dtype=torch.bool)
known[1, 5:], known[2, :15], known[3] = False, False, False
hidden = torch.where(known[:, None, :, None], tokens, tokens + 5)  # other content under the hole

network = Windows().eval()
torch.onnx.export(network, (query, tokens, known), "windows.onnx", dynamo=True, verbose=False)
print("IsNaN in the file:", sum(node.op_type == "IsNaN" for node in onnx.load("windows.onnx").graph.node))
session = onnxruntime.InferenceSession("windows.onnx", providers=["CPUExecutionProvider"])
names = [entry.name for entry in session.get_inputs()]


def exported(*inputs):
    return session.run(None, dict(zip(names, (value.numpy() for value in inputs))))[0]


ours, theirs = network(query, tokens, known).numpy(), exported(query, tokens, known)
apart = np.abs(ours - theirs).max((1, 2, 3))
mean = tokens[3].mean(1, keepdim=True).numpy()
changed = network(query, hidden, known).numpy(), exported(query, hidden, known)
moved = [np.abs(changed[0] - ours).max(), np.abs(changed[1] - theirs).max()]
print("torch and ONNX Runtime apart, by window:", apart.round(3))
print(f"window without known tokens: torch {np.abs(ours[3]).max():.3f} at most,", end=" ")
print(f"ONNX Runtime {np.abs(theirs[3] - mean).max():.1e} from the mean of what is under the hole")
print(f"moved by other content under the hole: torch {moved[0]:.3f}, ONNX Runtime {moved[1]:.3f}")
assert apart[:3].max() < 1e-5 and apart[3] > 0.1 and not ours[3].any(), "the behaviour has changed"
assert np.allclose(theirs[3], np.broadcast_to(mean, theirs[3].shape), atol=1e-5), "the behaviour has changed"
assert moved[0] < 1e-5 and abs(moved[1] - 5) < 1e-4, "the behaviour has changed"
PYTHON
