"""Which networks are set side by side (section 3.4), and what is recorded of them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from lib import networks
from lib.evaluation import results
from lib.evaluation.plan import MOST_DRAWS, Plan
from lib.evaluation.sweep import recorded
from lib.networks import Known
from lib.paper import PAPER_NOISES, PAPER_TARGET
from lib.store.files import ROOT
from lib.training.recipe import Recipe, paper_target


class Evidence(BaseModel):
    """What of the recorded predictions a comparison rests on: all that `paper.ipynb` can be asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train_seed: int = Field(0, ge=0)
    draws: int | None = Field(None, ge=1, le=MOST_DRAWS)  # None: those recorded
    images: int = Field(10_000, ge=2, le=10_000)  # the first of the test images
    outputs: Path = Path("outputs")  # from the repository's root


class Comparison(Evidence):
    """Some networks under the paper's four noises: what a notebook that compares them was asked for."""

    models: list[Known] | None = Field(None, min_length=1)  # None: those of the paper's figure

    @field_validator("models")
    @classmethod
    def _each_once(cls, models: list[str] | None) -> list[str] | None:
        if models and len(set(models)) < len(models):
            raise ValueError(f"each network once, not {models}")
        return models

    def plan(self, model: str) -> Plan:
        """What must be recorded of a network for it to take part."""
        return Plan(
            model=model,
            train_seed=self.train_seed,
            noises=list(PAPER_NOISES),
            draws=self.draws,
            images=self.images,
            outputs=self.outputs,
        )

    def training(self, model: str) -> dict:
        """The record of a network's training."""
        return networks.read_record(networks.weights_path(model, self.train_seed, ROOT / self.outputs))

    def variants(self, model: str) -> list[str]:
        """Its trainings MODEL@WORD on disk that see the same images, in the same way, as by the paper's rule."""
        pattern = networks.weights_path(f"{model}@*", self.train_seed, ROOT / self.outputs)
        paths = sorted(pattern.parent.glob(pattern.name))
        seen = {name: Recipe.model_fields[name].default for name in ("normalize", "resize", "train_images")}
        recipes = (Recipe.of(networks.read_record(path)) for path in paths)
        return [recipe.model for recipe in recipes if seen == {name: getattr(recipe, name) for name in seen}]

    def choose(self, usual: tuple[str, ...], whole: bool = False) -> "Compared":
        """The networks asked for, `usual` where none are named.

        Args:
            whole: whether all of `usual` are needed, by whatever recipe.

        Raises:
            ValueError: if one that is needed is not asked for.
            FileNotFoundError: if one is not recorded; it names each such with the command that records it.
        """
        models = tuple(self.models or usual)
        absent = {*usual} - {model.partition("@")[0] for model in models}
        if whole and absent:
            raise ValueError(f"models: all of {', '.join(usual)} are needed, by whatever recipe (MODEL@WORD)")
        missing = [f"{model} (make sweep MODEL={model})" for model in models if not recorded(self.plan(model))]
        if missing:
            draws = f" in {self.draws} noise draws" if self.draws else ""
            raise FileNotFoundError(
                f"not recorded under {ROOT / self.outputs} with {self.images:,} images{draws}, training seed "
                f"{self.train_seed}: {', '.join(missing)}"
            )
        return Compared(self, models)


@dataclass(frozen=True)
class Compared:
    """The networks of a comparison, all of them recorded, in the order of the figure."""

    comparison: Comparison
    models: tuple[str, ...]

    @property
    def common_draws(self) -> int:
        """Noise draws, counted from 0, that all the networks have seen."""
        return min(map(self.draws, self.models))

    def draws(self, model: str) -> int:
        """How many noise draws of a network its own curve is made of."""
        return self.comparison.draws or self.comparison.plan(model).recorded_draws()

    def training(self, model: str) -> tuple[dict, bool]:
        """The record of a network's training, and whether it reached what the paper's rule asks for.

        The fully connected net is excepted from the rule (section 3.3).
        """
        record = self.comparison.training(model)
        excepted = paper_target(model) > 100
        return record, excepted or any(epoch["accuracy"] >= PAPER_TARGET for epoch in record["epochs"])

    @property
    def short(self) -> tuple[str, ...]:
        """The networks whose training fell short of what the paper's rule asks for."""
        return tuple(model for model in self.models if not self.training(model)[1])

    def instead(self) -> dict[str, "Compared"]:
        """The same networks with one that fell short replaced by its variant MODEL@WORD that did not: variant -> them.

        A variant counts if its sweep is recorded and its recipe differs in the course of the training alone.
        """
        found = {}
        for model in self.short:
            for variant in self.comparison.variants(model):
                models = tuple(variant if each == model else each for each in self.models)
                other = Compared(self.comparison.model_copy(update={"models": list(models)}), models)
                if recorded(self.comparison.plan(variant)) and variant not in other.short:
                    found[variant] = other
        return found

    def curves(self) -> pd.DataFrame:
        """`results.curves` of every network, each with all its draws, the network in column `model`."""
        each = [results.curves(self.comparison.plan(model)).assign(model=model) for model in self.models]
        return pd.concat(each, ignore_index=True)
