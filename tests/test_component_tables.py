"""Effects in words, on effects typed here."""

import numpy as np
import pandas as pd
import pytest

from lib.analysis.effects import COMPONENTS, MEAN, QUESTIONS
from lib.paper import PAPER_NOISES
from lib.report import component_figures, component_tables

ROWS = {  # question -> estimate, low, high, trainings, verdict; alike on all noises
    "shortcuts": (-3.25, -5.04, -1.4, 3, "lower"),
    "pre-activation": (7, 5.5, 8.5, 3, "higher"),
    "depth": (0.5, -1, 2.6, 3, "undecided"),
    "depth, residual": (0.2, -0.4, 0.8, 3, "same"),
    "width": (4, np.nan, np.nan, 1, "undecided"),
    "pooling": (np.nan, np.nan, np.nan, 0, "undecided"),
}


@pytest.fixture
def found():
    columns = ["question", "noise", "estimate", "low", "high", "trainings", "verdict"]
    rows = [(name, noise, *values) for name, values in ROWS.items() for noise in (*PAPER_NOISES, MEAN)]
    return pd.DataFrame(rows, columns=columns)


def test_an_answer_says_what_how_much_how_sure_and_from_how_many_trainings(found):
    said = component_tables.answer(found, {name: name for name in ROWS}).replace("\N{NO-BREAK SPACE}", " ")
    assert said.splitlines() == [
        "- shortcuts: **lower**, -3.2 (-5.0 to -1.4); 3 trainings of each network",
        "- pre-activation: **higher**, +7.0 (+5.5 to +8.5); 3 trainings of each network",
        "- depth: **undecided**, +0.5 (-1.0 to +2.6); 3 trainings of each network",
        "- depth, residual: **no difference**, +0.2 (-0.4 to +0.8); 3 trainings of each network",
        "- width: **undecided**, +4.0 (one training); 1 training of each network",
        "- pooling: **not known yet**, -; 0 trainings of each network",
    ]


@pytest.mark.parametrize("one_short", [False, True])
def test_trainings_short_of_the_bound_are_named_and_the_questions_that_they_leave_open(found, one_short):
    table = scores(one_short).assign(model=lambda rows: "half_resnet" + rows["depth"].astype(str))
    said = component_tables.short(table, found if one_short else found.dropna(subset="estimate"))
    if one_short:
        counted = "Short of the bound: 1 of 4 trainings: ResNet-18, half width (1 of 2)."
        assert said == f"{counted} So these questions have no answer: pooling."
    else:
        assert said == "Short of the bound: 0 of 4 trainings."


def test_single_noises_are_told_by_their_verdicts(found):
    found.loc[(found["question"] == "depth") & found["noise"].isin(PAPER_NOISES[:2]), "verdict"] = "higher"
    said = component_tables.on_single_noises(found, {"depth": "twice the depth", "width": "twice the width"})
    assert said.splitlines() == [
        "- twice the depth: higher on WtB, BtW; undecided on RPI, EtA.",
        "- twice the width: undecided on WtB, BtW, RPI, EtA.",
    ]


def test_an_effect_stands_for_or_against_its_claim_as_the_claim_lets_one_expect(found):
    table = component_tables.beside_claims(found, COMPONENTS, {1: "undecided", 8: "contradicted"})
    assert table["which is"].to_dict() == {
        "shortcuts": "for the claim",  # claim 8 expects lower
        "pre-activation": "for the claim",
        "depth, residual": "against the claim: no difference",
    }
    assert table["whole architectures"].tolist() == ["contradicted", "-", "undecided"]
    turned = found.assign(verdict=found["verdict"].replace({"lower": "higher", "higher": "lower"}))
    assert component_tables.beside_claims(turned, COMPONENTS, {})["which is"].tolist()[:2] == ["against the claim"] * 2


@pytest.mark.parametrize("experiment", QUESTIONS)
def test_claims_that_questions_name_are_claims(experiment):
    """Whatever the question, its claim is found and its expectation is one of the verdicts."""
    questions = {name: question for name, question in QUESTIONS[experiment].items() if question.claim}
    rows = [(name, MEAN, 1.0, 0.5, 1.5, 3, "higher") for name in questions]
    found = pd.DataFrame(rows, columns=["question", "noise", "estimate", "low", "high", "trainings", "verdict"])
    table = component_tables.beside_claims(found, questions, {})
    for name, question in questions.items():
        expected = {"higher": "for the claim", "lower": "against the claim"}[question.expected]
        assert table.loc[name, "which is"] == expected


def scores(short: bool) -> pd.DataFrame:
    """Two trainings at each of two depths; the second of depth 18 is short of the bound, or none is."""
    rows = [
        {
            "depth": depth,
            "skips": skips,
            "seed": seed,
            "noise": noise,
            "model": f"{skips}{depth}",
            "short": short and (depth, seed) == (18, 1),
        }
        | {"area": depth + 2 * seed + (skips == "none") * 20 + place}
        for depth in (10, 18)
        for skips in ("residual", "none")
        for seed in range(2)
        for place, noise in enumerate(PAPER_NOISES)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("short", [False, True])
def test_a_figure_holds_each_training_and_the_means_of_those_that_count(short):
    names = {"residual": "residual", "none": "plain"}
    figure = component_figures.against(scores(short), "depth", "skips", names, "above", "layers", "area")
    white = figure.axes[1]
    lines = {line.get_label(): line.get_ydata().tolist() for line in white.lines}
    late = 18 if short else 19
    assert lines["residual"] == [11, late] and lines["plain"] == [31, late + 20]
    crosses = [line.get_ydata().tolist() for line in white.lines if line.get_marker() == component_figures.SHORT]
    assert crosses == ([[20], [40]] if short else [[], []])
    mean = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}
    assert mean["residual"] == [12.5, late + 1.5], "the mean of the noises"
    legend = [text.get_text() for text in figure.axes[5].get_legend().get_texts()]
    assert legend == ["residual, mean", "plain, mean", "one training"] + ["one training, under 99.0 %"] * short


def test_a_figure_says_how_many_trainings_it_shows(found):
    figure = component_figures.against(scores(False), "depth", None, {}, "above", "layers", "area")
    assert figure.get_suptitle() == "above; 2 trainings of each network"
    assert (
        component_figures.effects(found, COMPONENTS, "above").get_suptitle()
        == "above; 1\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}3 trainings of each network"
    )


def test_a_figure_of_effects_has_a_line_for_each_question_that_has_an_answer_and_greys_what_is_open(found):
    figure = component_figures.effects(found, {name: COMPONENTS[name] for name in ROWS}, "above")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(ROWS)[:-1]
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots][:3] == [-3.25, 7, 0.5]
    assert [dot.get_color() for dot in dots] == ["black", "black", "0.6", "black", "0.6"]
