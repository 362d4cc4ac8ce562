"""Networks of which one part is changed at a time, as data: ResNets (section 6) and the fully connected net."""

from dataclasses import dataclass
from typing import Literal

SIZE = 56  # pixels a side after the upscaling (section 3.1)
CLASSES = 10


@dataclass(frozen=True)
class Variant:
    """A ResNet with options; `residual.resnet` makes it."""

    depth: Literal[10, 18, 34, 50]  # layers with weights; 50: bottlenecks
    skips: Literal["residual", "none", "preact"] = "residual"
    width: float = 0.5  # 1: 64 channels after the first convolution
    norm: bool | Literal["group", "layer"] = True  # normalisation after each convolution; True: batch, False: none
    pool: bool = True  # max-pooling after the first convolution

    @property
    def title(self) -> str:
        """In print: `ResNet-18, half width`."""
        kind = {"residual": "ResNet", "none": "Plain", "preact": "Pre-activation ResNet"}[self.skips]
        words = [f"{kind}-{self.depth}", *({0.25: ["quarter width"], 0.5: ["half width"]}.get(self.width, []))]
        words += {True: [], False: ["no batch norm"], "group": ["group norm"], "layer": ["layer norm"]}[self.norm]
        return ", ".join(words + ([] if self.pool else ["no pooling"]))


# Shortcuts by depth at half width; then one change at a time from `half_resnet18`. At full width that is `resnet18`.
FAMILY = {
    **{f"half_resnet{depth}": Variant(depth) for depth in (10, 18, 34, 50)},
    **{f"half_plain{depth}": Variant(depth, "none") for depth in (10, 18, 34, 50)},
    **{f"half_preact{depth}": Variant(depth, "preact") for depth in (10, 18, 34, 50)},
    "quarter_resnet18": Variant(18, width=0.25),
    "half_resnet18_nobn": Variant(18, norm=False),
    "half_plain18_nobn": Variant(18, "none", norm=False),
    "half_resnet18_nopool": Variant(18, pool=False),
}
# The paper's ResNet-18 with another normalisation.
NORMALISED = {
    "resnet18_nobn": Variant(18, width=1, norm=False),
    "resnet18_gn": Variant(18, width=1, norm="group"),
    "resnet18_ln": Variant(18, width=1, norm="layer"),
}

HIDDEN = {"fc98": 98, "fc392": 392, "fc784": 784, "fc1568": 1568, "fc": SIZE * SIZE, "fc6272": 6272}  # units of the FCs


@dataclass(frozen=True)
class Dense:
    """The paper's fully connected net with another hidden layer."""

    activation: Literal["relu", "tanh", "sigmoid"] = "relu"
    norm: Literal["none", "before", "after"] = "none"  # batch normalisation before or after the activation

    @property
    def title(self) -> str:
        """In print: `FC, tanh, batch norm after it`."""
        words = {"relu": "ReLU"}.get(self.activation, self.activation)
        return f"FC, {words}" + {"none": "", "before": ", batch norm", "after": ", batch norm after it"}[self.norm]


DENSE = {
    f"fc{activation and '_'}{activation}{end}": Dense(activation or "relu", norm)
    for activation in ("", "tanh", "sigmoid")
    for end, norm in (("", "none"), ("_bn", "before"), ("_bn_after", "after"))
    if activation or end  # the paper's own is `fc`
}
