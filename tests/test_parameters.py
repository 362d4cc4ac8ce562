import pytest
from conftest import run_python

from lib.evaluation.plan import Plan
from lib.store import parameters
from lib.training.recipe import Recipe


def variables(kind, cell="", **change):
    """A notebook's variables after its parameters cell and papermill's."""
    defaults = {name: field.get_default() for name, field in kind.model_fields.items()}
    return defaults | {"model": "fc", "outputs": "outputs", "In": ["", "", cell]} | change


@pytest.mark.parametrize("kind", [Plan, Recipe, parameters.Gallery])
def test_defaults_pass(kind):
    settings = parameters.check(kind, variables(kind, "# Parameters\noutputs = 'outputs'"))
    assert str(settings.outputs) == "outputs"


def test_text_from_the_command_line_becomes_what_it_says():
    plan = parameters.check(
        Plan, variables(Plan, recompute="false", levels="[0, 5]", noises="[white_to_black]", draws="3", c="2.5")
    )
    assert plan.recompute is False and plan.levels == [0, 5] and plan.noises == ["white_to_black"]
    assert plan.draws == 3 and plan.c == 2.5
    assert parameters.check(Plan, variables(Plan, draws="null")).draws is None


@pytest.mark.parametrize(
    ("cell", "change", "message"),
    [
        (
            "# Parameters\nmodell = 'fc'",
            {},
            "unknown parameter 'modell'; did you mean 'model'. choose from model, train_",
        ),
        ("# Parameters\nx = 1", {}, "unknown parameter 'x'; choose from model"),
        ("", {"draws": -1}, "^draws: Input should be greater than or equal to 1, not -1$"),
        ("", {"draws": "many"}, "^draws: Input should be a valid integer.* not 'many'$"),
        ("", {"images": 0, "c": -1}, "images: Input .* not 0; c: Input should be greater than 0, not -1"),
        ("", {"model": "resnt50"}, "^model: unknown model 'resnt50'; choose from fc, resnet18"),
        ("", {"recompute": "perhaps"}, "recompute: Input should be a valid boolean.* not 'perhaps'"),
        ("", {"noises": ["all"]}, "noises: unknown noise 'all'; choose from random_pixel_invert"),
        ("", {"levels": [0, 1.5]}, "levels: Input should be a valid integer"),
    ],
)
def test_a_wrong_parameter_is_told_in_a_line(cell, change, message):
    with pytest.raises(ValueError, match=message):
        parameters.check(Plan, variables(Plan, cell, **change))


@pytest.mark.parametrize(
    "module", ["evaluation.plan", "training.recipe", "readings.options", "adversarial.runs", "explorer.one_digit"]
)
def test_what_checks_parameters_loads_no_engine(module):
    slow = {"torch", "numba", "pandas", "statsmodels", "openvino", "timm"}
    code = f"import sys, lib.{module}; print(sorted({slow} & {{*sys.modules}}))"
    assert run_python(code) == (0, "[]\n")


def test_names_in_other_cells_are_ones_own():
    assert parameters.check(Plan, variables(Plan, "mine = 1", mine=1)).model == "fc"
