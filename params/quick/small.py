"""Appended to the `lib/__init__.py` of the small paper's copy (`workflow/quick`): few images, one epoch, tiny networks.

Everything else of the copy is as it is here: notebooks, declarations, rules. Its numbers mean nothing.
"""

import re
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import BaseModel

from lib import paper

IMAGES = 20  # test images
paper.PAPER_TARGET = 0  # percent: a training ends after its first epoch, and none is short

from lib.store import data, parameters  # noqa: E402

data.VALIDATION_IMAGES = 100


def _default(kind: type[BaseModel], **values: Any) -> None:
    for name, value in values.items():
        kind.model_fields[name].default = value
    kind.model_rebuild(force=True)


_default(parameters.Gallery, images=IMAGES, train_images=200)

from lib.networks import DENSE, HIDDEN, NETS  # noqa: E402
from lib.networks.architectures import fully_connected  # noqa: E402
from lib.store.files import ROOT  # noqa: E402


def _tiny(norm: bool) -> Any:
    """Two convolutions for images of any size, and a linear layer."""
    from torch import nn

    first = [nn.Conv2d(1, 8, 7, stride=4, padding=3), nn.BatchNorm2d(8) if norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(*first, nn.Conv2d(8, 8, 1), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 10))


_declared = "".join(path.read_text() for path in (ROOT / "params" / "experiments").glob("*.yaml"))
for _name in {*NETS, *re.findall(r"timm:\w+", _declared)}:  # names and recipes stay
    if _name in (*HIDDEN, *DENSE):
        NETS[_name] = partial(fully_connected, 16, **getattr(NETS[_name], "keywords", {}))
    elif _name not in ("cnn", "fc_rgb"):
        NETS[_name] = partial(_tiny, not re.search("_(nobn|gn|ln)$|^vgg19$", _name))

from lib.training.recipe import Recipe  # noqa: E402

_default(Recipe, train_images=128, max_epochs=2)

from lib.evaluation import plan, results  # noqa: E402

_default(plan.Plan, images=IMAGES, adapted_on=IMAGES)
results.COUNTS = (IMAGES,)

from lib.adversarial import attacks  # noqa: E402
from lib.adversarial.runs import AttackPlan  # noqa: E402

_default(AttackPlan, images=IMAGES, fewer={"boundary": 3})
for _name, _attack in attacks.ATTACKS.items():
    attacks.ATTACKS[_name] = replace(_attack, steps=min(_attack.steps, 10))

from lib.experiments import declaration  # noqa: E402  # before those that import its functions

declaration.WHOLE = IMAGES
_load = declaration.load


def _small(name: str) -> declaration.Experiment:
    whole = _load(name)
    seeds = whole.seeds[: 2 if len(whole.models) < 30 else 1]
    fewer = {"seeds": seeds, "more_seeds": {}, "images": IMAGES, "adapted_on": IMAGES}
    recipes = {word: recipe | {"max_epochs": 1} for word, recipe in whole.recipes.items()}
    return whole.model_copy(update=fewer | {"recipes": recipes})


declaration.load = _small

from lib.experiments import augmentation, measure  # noqa: E402

augmentation.TESTED = IMAGES
for _kind in (measure.Measured, measure.Varied, measure.Compared):
    _default(_kind, images=IMAGES)

from lib.experiments.confidence import Confidence  # noqa: E402

_default(Confidence, images=IMAGES)
