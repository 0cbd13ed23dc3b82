"""StyleFlow: a code goes to a normal prior with its attributes, and comes back with others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.editor import CodeEditor, EditorConfig
from baselines.styleflow.networks import Flow
from baselines.styleflow.training import FlowStage
from bench.data.attributes import LIGHT, chosen
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Noise, Source, Stage
from bench.nn.regressor import Regressor, RegressorStage

CARD = Card(
    slug="styleflow",
    name="StyleFlow",
    title="StyleFlow: Attribute-conditioned Exploration of StyleGAN-Generated Images using Conditional Continuous "
    "Normalizing Flows",
    authors="Abdal, Zhu, Mitra, Wonka",
    year=2021,
    venue="ACM TOG 40(3); arXiv 2008.02401",
    url="https://github.com/RameenAbdal/StyleFlow",
    task="editing",
    resolution=1024,
    params={"flow": 1_691_649},
    macs={"field": 28_422_144.0},
    training="Adam 1e-3, batch 5, 3 epochs of 10,000 drawn codes; negative log-likelihood",
    features="Microsoft's Face API and DPR for the attributes of drawn pictures",
    convention="no masks; codes of StyleGAN2 (1024 px)",
    licence="CC BY-NC-SA 4.0 (code and weights)",
    weights="flow_weight/modellarge10k.pt of the authors' repository: a plain state dict",
    trained_on={"ffhq": "all"},
    requires=("e4e",),
    needs=("source", "attributes", "wanted"),
    choices={
        "steps": "of the fourth-order Runge-Kutta method, 32; the authors' solver (dopri5, tolerance 1e-5) takes some "
        "tens of evaluations of the field, this one four a step",
        "edited": "yaw, pitch and expression, in the authors' order; the others stay those of the source, for the "
        "face is to stay the same person's",
        "attributes": "of the data set (a CSV file, or synthetic faces), in the place of those that Microsoft's "
        "service and DPR tell, which are not to be had. The released weights expect the latter's scales",
        "regressor": "tells the attributes of drawn pictures: a network of our own, first trained on the data set; "
        "`regressor_share` of the budget",
        "codes": "drawn anew in every iteration, where the authors stored 10,000",
        "truncation": "0.7, which their program does not say",
        "source": "is inverted by e4e: the authors' demo shows drawn pictures, and projected photographs",
        "photos": "0: as published. tiny: half of the codes are those of pictures of the data set, inverted, whose "
        "attributes are known",
    },
    notes="MACs are those of one evaluation of the field for 18 codes; an edit of three attributes takes six solves.",
)

CLASSES = ("gender", "glasses", "yaw", "pitch", "baldness", "beard", "age", "expression")
ROWS = {
    "light": range(7, 12), "gender": range(8), "glasses": range(2, 4), "yaw": range(4), "pitch": range(4),
    "baldness": range(6), "beard": range(5, 10), "age": range(4, 8), "expression": range(4, 6),
}  # fmt: skip
"""The codes that change with each attribute; the others are kept."""
FACTORS = {"gender": 1.5, "glasses": 2.5, "baldness": 2.0, "beard": 1.7, "age": 0.93}
"""How much further than to the wanted value an attribute goes, where that is not 1."""


class StyleFlowConfig(EditorConfig):
    """Sizes and training of StyleFlow."""

    steps: int = Field(default=32, ge=1)  # of a solve
    attributes: tuple[str, ...] = (*LIGHT, *CLASSES)  # of the flow
    edited: tuple[str, ...] = ("yaw", "pitch", "expression")  # one after another; "light" is one, too
    regressor_size: int = 128  # pixels of the regressor's input
    regressor_widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    regressor_rate: float = 1e-3
    regressor_share: float = 0.5  # of the training budget
    learning_rate: float = 1e-3
    batch_size: int = 5


class StyleFlow(CodeEditor):
    """The flow, on the suite's own StyleGAN2 and e4e."""

    card = CARD
    Config = StyleFlowConfig
    config: StyleFlowConfig
    presets = {
        "paper": StyleFlowConfig(),
        "tiny": StyleFlowConfig(
            dim=64, steps=8, photos=0.5, batch_size=8, regressor_size=64, regressor_widths=(16, 32, 64, 64, 64),
        ),
    }  # fmt: skip
    prior_presets = {"paper": {"stylegan2": "config-f"}}

    def __init__(self, config: StyleFlowConfig):
        super().__init__(config)
        c = config
        self.flow = Flow(c.dim, len(c.attributes), c.steps)
        self.regressor = Regressor(c.attributes, c.regressor_size, c.regressor_widths)

    def networks(self) -> dict[str, nn.Module]:
        """Without the regressor, which training alone needs."""
        return {"flow": self.flow, **self.prior_networks()}

    def edit(self, codes: Tensor, own: Tensor, wanted: Tensor) -> Tensor:
        """Codes (N, rows, dim) with attributes (N, K), brought to those that are wanted, one after another.

        Each changes a few rows. The normal values are those of the codes until then, except after the light.
        """
        own, codes = own.clone(), codes.clone()
        normal = self.flow(codes, own)
        for name in self.config.edited:
            columns = [i for i, found in enumerate(self.config.attributes) if found == name or found.startswith(name)]
            own[:, columns] += FACTORS.get(name, 1.0) * (wanted - own)[:, columns]
            rows = [row for row in ROWS[name] if row < codes.shape[1]]
            codes[:, rows] = self.flow.inverse(normal, own)[:, rows]
            if name != "light":
                normal = self.flow(codes, own)
        return codes

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        source, c = batch.need("source"), self.config
        c.sizes().check(source, self.card.name)
        own, wanted = (
            chosen(batch.need(guide), c.attributes, self.card.slug).to(source) for guide in ("attributes", "wanted")
        )
        codes = self.edit(self.codes(source), own, wanted)
        return self.fitted(self.decode(codes, noise.maps(self.decoder.sides)), batch)

    def stages(self, features: Source = "official") -> list[Stage]:
        self.inverter.check_generator()
        regressor, flow = RegressorStage(self, self.regressor, self.config.regressor_rate), FlowStage(self)
        regressor.share, flow.share = self.config.regressor_share, 1 - self.config.regressor_share
        return [regressor, flow]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take modellarge10k.pt."""
        self.flow.take(state)


def _run(flow: Flow, inputs: Inputs) -> dict[str, Tensor]:
    flow.steps = 64
    codes, own = inputs.latent(1, 18, 512), Inputs(inputs.seed + 1).latent(1, 17)
    wanted = own.clone()
    wanted[:, 11] += 1.5

    def field(x: Tensor) -> Tensor:
        return flow.field(torch.full((1, 1), 0.37, dtype=x.dtype), x, own)

    normal = flow(codes, own)
    jacobian = torch.func.jacfwd(lambda x: field(x[None, None])[0, 0])(codes[0, 0])
    return {
        "dx": field(codes),
        "divergence": jacobian.trace()[None],
        "z": normal,
        "edited": flow.inverse(normal, wanted),
    }


StyleFlow.golden = {
    "styleflow": Golden(
        build=Flow,
        load=Flow.take,
        run=_run,
        parts=lambda flow: {"flow": flow},
        costs={
            "one evaluation of the field, 18 codes": lambda flow: flow.field(
                torch.empty(1, 1), torch.empty(1, 18, 512), torch.empty(1, 17)
            )
        },
    ),
}
