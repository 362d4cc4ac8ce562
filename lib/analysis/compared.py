"""Which networks are set side by side (section 3.4), and which of them are recorded so far."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from lib import networks
from lib.evaluation import results
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import recorded
from lib.networks import Known
from lib.paper import PAPER_NOISES, PAPER_TARGET
from lib.store.files import ROOT
from lib.training.recipe import Recipe, paper_target


class Study(BaseModel):
    """Some networks under the paper's four noises: what a notebook that compares them was asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: list[Known] | None = Field(None, min_length=1)  # None: those of the paper's figure
    train_seed: int = Field(0, ge=0)
    draws: int | None = Field(None, ge=1)  # None: those recorded
    images: int = Field(10_000, ge=2, le=10_000)  # the first of the test images
    outputs: Path = Path("outputs")  # from the repository's root

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

    def choose(self, usual: tuple[str, ...]) -> "Chosen":
        """The networks asked for, `usual` where none are named, sorted by whether they are recorded.

        Raises:
            FileNotFoundError: if none is recorded; it names the command that records one.
        """
        chosen = self.sort(usual)
        if not chosen.measured:
            raise FileNotFoundError(
                f"none of {', '.join(chosen.models)} is recorded under {ROOT / self.outputs} with {self.images:,} "
                f"images; record one with: make sweep MODEL={chosen.models[0]}"
            )
        return chosen

    def sort(self, usual: tuple[str, ...] = ()) -> "Chosen":
        """The same, without a complaint where none is recorded."""
        models = tuple(self.models or usual)
        return Chosen(self, models, tuple(model for model in models if recorded(self.plan(model))))


@dataclass(frozen=True)
class Chosen:
    """The networks of a comparison, in the order of the figure."""

    study: Study
    models: tuple[str, ...]
    measured: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(model for model in self.models if model not in self.measured)

    @property
    def common_draws(self) -> int:
        """Noise draws, counted from 0, that all the measured networks have seen."""
        return min(map(self.draws, self.measured))

    def draws(self, model: str) -> int:
        """How many noise draws of a measured network its own curve is made of."""
        return self.study.draws or self.study.plan(model).recorded_draws()

    def training(self, model: str) -> tuple[dict, bool]:
        """The record of a measured network's training, and whether it reached what the paper's rule asks for.

        The fully connected net is excepted from the rule (section 3.3).
        """
        record = self.study.training(model)
        excepted = paper_target(model) > 100
        return record, excepted or any(epoch["accuracy"] >= PAPER_TARGET for epoch in record["epochs"])

    @property
    def short(self) -> tuple[str, ...]:
        """The measured networks whose training fell short of what the paper's rule asks for."""
        return tuple(model for model in self.measured if not self.training(model)[1])

    def instead(self) -> list["Chosen"]:
        """The same networks with one that fell short replaced by its variant MODEL@WORD that did not, for each such.

        A variant counts if its sweep is recorded and its recipe differs in the course of the training alone.
        """
        found = []
        for model in self.short:
            for variant in self.study.variants(model):
                models = [variant if each == model else each for each in self.models]
                other = self.study.model_copy(update={"models": models}).sort()
                if variant in other.measured and variant not in other.short:
                    found.append(other)
        return found

    def curves(self) -> pd.DataFrame:
        """`results.curves` of every measured network, each with all its draws, the network in column `model`."""
        each = [results.curves(self.study.plan(model)).assign(model=model) for model in self.measured]
        return pd.concat(each, ignore_index=True)

    def table(self) -> pd.DataFrame:
        """A row of words for every network: its size, its training, its accuracy without noise, what is recorded."""
        rows = {}
        for model in self.models:
            row = {"parameters": f"{networks.parameters(model) / 1e6:.1f} million", "measured": "not yet measured"}
            if model in self.measured:
                record, reached = self.training(model)
                plan = self.study.plan(model)
                clean = results.curves(plan).iloc[0]
                row |= {
                    "epochs": str(len(record["epochs"])),
                    "validation %": f"{record['epochs'][-1]['accuracy']:.2f}" + ("" if reached else " (under 99.0)"),
                    "test % without noise": f"{clean.accuracy:.2f} ({clean.low:.2f} to {clean.high:.2f})",
                    "measured": f"{plan.images:,} images, {in_draws([self.draws(model)])}",
                }
            rows[networks.title(model)] = row
        columns = ["parameters", "epochs", "validation %", "test % without noise", "measured"]
        return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns).fillna("-")

    def in_words(self) -> str:
        """What is measured, what is not, and which networks fell short of the paper's rule of training."""
        told = f"All {len(self.models)} networks are measured."
        if self.missing:
            told = (
                f"**Not yet measured: {names(self.missing)}.** All that follows is about the other "
                f"{len(self.measured)} of {len(self.models)}: {names(self.measured)}."
            )
        if self.short:
            told += (
                f" **Under-trained: {names(self.short)}** ended below the {PAPER_TARGET} % of validation images that "
                "the paper's rule asks for, so what follows about "
                f"{'it' if len(self.short) == 1 else 'them'} is weak evidence about architecture."
            )
        return told

    def heading(self, what: str, common: bool = True) -> str:
        """`what` with n behind it, and the networks that are missing: for above a figure.

        Args:
            common: whether the figure is of the draws that all the networks have seen, or of each network's own.
        """
        draws = in_draws([self.common_draws] if common else [self.draws(model) for model in self.measured])
        told = f"{what}: n = {self.study.images:,} test images, {draws} each, one training"
        return told + (f"\nnot yet measured: {names(self.missing)}" if self.missing else "")


def in_draws(counts: list[int]) -> str:
    """`1 noise draw`, `1 to 5 noise draws`."""
    least, most = min(counts), max(counts)
    return f"{most if least == most else f'{least} to {most}'} noise draw{'s' * (most > 1)}"


def names(models: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(networks.title, models))
