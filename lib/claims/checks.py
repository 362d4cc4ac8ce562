"""What could take a verdict on a claim away: its rule, a single training, chance among twelve, networks gone astray."""

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from lib.claims.claims import ABOUT_NETWORKS, Evidence, asked, printed, statements
from lib.claims.statements import CONTRADICTED, ERROR, SUPPORTED, Statement, judge_all, sureness, verdict
from lib.statistics.contrasts import UNDECIDED

SAMPLES = 2_000  # of all trainings, as they would be if the paper were right
WORDS = [SUPPORTED, UNDECIDED, CONTRADICTED]


def as_printed(evidence: Evidence, samples: int = SAMPLES) -> Evidence:
    """Samples of as many trainings as ours, scattered as ours are, but about the accuracies of the paper's Table 1.

    Normal, with the covariance of all noises and levels that the trainings of a family have. Networks that the table
    lacks are about our own means. The curves are at the levels of Table 1, rows (model, seed, sample).
    """
    paper, random = printed().trainings.curves.droplevel("seed"), np.random.default_rng(0)
    trainings, drawn = evidence.trainings, {}
    curves = trainings.curves[paper.columns]
    means, models = curves.groupby(level="model").transform("mean"), curves.index.get_level_values("model")
    truth = paper.reindex(models).set_axis(curves.index).fillna(means)
    for _, apart in (curves - means).groupby(models.map(lambda model: trainings.families.get(model, model))):
        freedom = max(len(apart) - apart.index.unique("model").size, 1)
        normal = random.standard_normal((samples, len(apart), len(apart)))
        own = truth.loc[apart.index].to_numpy() + normal @ apart.to_numpy() / math.sqrt(freedom)
        drawn |= {key: pd.DataFrame(own[:, row], columns=curves.columns) for row, key in enumerate(apart.index)}
    return evidence._replace(trainings=replace(trainings, curves=pd.concat(drawn, names=["model", "seed", "sample"])))


def simulated(evidence: Evidence, samples: int = SAMPLES) -> pd.DataFrame:
    """How often each verdict would fall if Table 1 were exactly right: claim x `WORDS`, shares of the samples.

    Claims of which Table 1 lacks a number are left out.
    """
    drawn, found = as_printed(evidence, samples), {}
    for number in ABOUT_NETWORKS:
        if not any(math.isnan(each.value) for each in asked(number, printed())):
            bounds = asked(number, drawn)
            tail = ERROR / 2 / sum(len(each.numbers) for each in bounds)
            within = np.array([each.chances() for each in bounds]) <= tail  # (statements, holds or fails, samples)
            found[number] = within[:, 0].all(axis=0).mean(), 0.0, within[:, 1].any(axis=0).mean()
    table = pd.DataFrame.from_dict(found, orient="index", columns=WORDS)
    return table.assign(**{UNDECIDED: 1 - table[SUPPORTED] - table[CONTRADICTED]})


def turning(evidence: Evidence) -> dict[int, list[tuple[str, int]]]:
    """Claim -> the trainings (model, seed) without which its verdict is another; of claim 12, the networks attacked."""

    def without(number: int, changed: Evidence) -> str:
        try:
            return verdict(judge_all(asked(number, changed)))
        except ValueError:  # without the only training of a network
            return UNDECIDED

    trainings, curves, margins = evidence.trainings, evidence.trainings.curves, pd.DataFrame(evidence.margins)
    fewer = {key: replace(trainings, curves=curves.drop(index=[key])) for key in curves.index}
    less = {key: evidence._replace(trainings=own) for key, own in fewer.items()}
    attacked = {(model, 0): evidence._replace(margins=margins.drop(model).to_dict()) for model in margins.index}
    changed = dict.fromkeys(ABOUT_NETWORKS, less) | {11: {}, 12: attacked}
    whole = {number: without(number, evidence) for number in changed}
    return {n: [key for key, own in each.items() if without(n, own) != whole[n]] for n, each in changed.items()}


def checks(found: Mapping[int, list[Statement]], evidence: Evidence, far: Collection[str]) -> pd.DataFrame:
    """Each verdict beside what could take it away, by number of the claim.

    Columns: verdict; `simulated`, nan where Table 1 has no numbers; turned by (list); holm, whether it stands over all
    claims together; without, the verdict without `far` (networks that do not replicate, `table1.replication`), empty if
    nothing is left; holds, whether it is decided, in at most 5 % of the samples contradicted, turned by no training,
    and stands in the last two.
    """
    table = pd.DataFrame({"verdict": {number: verdict(own) for number, own in found.items()}})
    table = table.join(simulated(evidence))
    table["turned by"] = pd.Series(turning(evidence))
    errors = np.nan_to_num([1 - sureness(own) for own in found.values()], nan=1.0)
    table["holm"] = multipletests(errors, method="holm")[0]
    kept = {number: statements(number, evidence._replace(left_out=far)) for number in found}
    table["without"] = pd.Series({number: verdict(own) if own else "" for number, own in kept.items()})
    unlikely = (table["verdict"] != CONTRADICTED) | ~(table[CONTRADICTED] > ERROR)
    same = (table["verdict"] != UNDECIDED) & (table["verdict"] == table["without"])
    return table.assign(holds=unlikely & (table["turned by"].str.len() == 0) & table["holm"] & same)
