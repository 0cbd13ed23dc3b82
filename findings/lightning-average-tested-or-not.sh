#!/usr/bin/env bash
# Lightning's callback for an average of weights, EMAWeightAveraging (and WeightAveraging, from which it is derived),
# keeps the average as the network's weights in checkpoints and puts it into the network for validation. But which
# weights are measured depends on where one asks:
# - `trainer.test(ckpt_path="best")` after `trainer.fit`, the usual end of a script, tests the plain weights; the same
# file in a process of its own, or without the callback, gives the averaged ones. The callback still holds its
# average after `fit`, takes the file for a training that goes on, and puts the plain weights back
# (`on_load_checkpoint`); a test does not swap them.
# - `validation_step` sees the average, `on_validation_epoch_end` the plain weights, since hooks of callbacks come
# before the network's own: pictures that are completed there, and their FID, belong to other weights than the
# losses beside them.
# - `trainer.validate(other)` after `fit` measures the average of the first network, whatever `other` is.
# - With an average that begins later, all validation before that, the files, and the network after a training that
# ends before that have the weights that the network had when it was made. Only this one is known:
# https://github.com/Lightning-AI/pytorch-lightning/issues/21724.
# Where to see it: pytorch_lightning/callbacks/weight_averaging.py.
# Versions: pytorch-lightning 2.6.6, torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11.
# Seen, of a weight that grows by 1 in each of 10 steps (plain 10, average 9.002): test of "best" 10, of the same file
# elsewhere 9.002; validation_step 9.002, on_validation_epoch_end 10; another network with the weight 100 is validated
# at 9.002. With an average that begins at step 100: validated at 0, saved as 0, and 0 after fit.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch-lightning==2.6.6
cd "$folder"
venv/bin/python - 2>warnings.txt <<'PYTHON'
import logging

import pytorch_lightning
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint
from torch.utils.data import DataLoader

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
torch.set_num_threads(1)
TEN, ONE = DataLoader(torch.zeros(10, 1)), DataLoader(torch.zeros(1, 1))


class One(pytorch_lightning.LightningModule):
    """One weight, which grows by 1 at each step; `seen` has its values where a network is measured."""

    def __init__(self, weight=0.0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))
        self.seen = {}

    def see(self, where):
        self.seen[where] = round(self.weight.item(), 3)

    def training_step(self, batch, index):
        return -self.weight

    def validation_step(self, batch, index):
        self.see("validation_step")

    def on_validation_epoch_end(self):
        self.see("on_validation_epoch_end")

    def test_step(self, batch, index):
        self.see("test_step")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def trainer(*callbacks):
    return pytorch_lightning.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
    )


network, files = One(), ModelCheckpoint(dirpath="files")
one = trainer(EMAWeightAveraging(decay=0.5), files)
one.fit(network, TEN, ONE)
average = network.seen["validation_step"]
print("fit:", network.seen)
assert average == 9.002 and network.seen["on_validation_epoch_end"] == 10, "the behaviour has changed"

one.test(network, ONE, ckpt_path="best", verbose=False)
print('test(ckpt_path="best") after fit:', network.seen["test_step"])
assert network.seen["test_step"] == 10, "the behaviour has changed"
for name, callbacks in {"the callback": [EMAWeightAveraging(decay=0.5)], "none": []}.items():
    again = One()
    trainer(*callbacks).test(again, ONE, ckpt_path=files.best_model_path, verbose=False)
    print(f"the same file by another trainer with {name}:", again.seen["test_step"])
    assert again.seen["test_step"] == average, "the behaviour has changed"

one = trainer(EMAWeightAveraging(decay=0.5))
one.fit(One(), TEN)
other = One(100.0)
one.validate(other, ONE, verbose=False)
print("another network, whose weight is 100, validated by the same trainer:", other.seen["validation_step"])
assert other.seen["validation_step"] == average, "the behaviour has changed"

late, files = One(), ModelCheckpoint(dirpath="late")
trainer(EMAWeightAveraging(decay=0.5, update_starting_at_step=100), files).fit(late, TEN, ONE)
saved = torch.load(files.best_model_path, weights_only=True)["state_dict"]["weight"].item()
print("an average from step 100 on, 10 steps:", late.seen, "saved:", saved, "after fit:", late.weight.item())
assert late.seen["validation_step"] == saved == late.weight.item() == 0, "the behaviour has changed"
PYTHON
