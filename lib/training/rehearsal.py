"""A training in small before the real one: a network that cannot be trained, stored or measured is refused at once."""

import copy

import numpy as np
import torch
from safetensors.torch import load, save
from torch.nn import functional

from lib import networks
from lib.store import data
from lib.training.recipe import Recipe

LOSS = 0.1  # of the logits' range, by which storing may change them
UNLIKELY = 8_162_715_431  # a seed that no network sets itself


def rehearse(recipe: Recipe) -> None:
    """Build a network to probe it, train it on two images and on one, store it and copy it; nothing is written.

    ValueError says in a line what failed and what is allowed. torch's generator keeps its state.
    """
    model = recipe.model
    images, *_ = data.load(recipe.dataset).split()
    data.check_count(recipe.train_images, images, "train_images", recipe.dataset)
    net, twin = (networks.build(model, recipe.seed, **recipe.input) for _ in range(2))
    try:
        networks.restore(copy.deepcopy(net), load(save(networks.as_stored(net))))
    except (Exception, SystemExit) as error:  # of anyone's code
        raise ValueError(f"{model} cannot be copied and stored: {networks.in_a_line(error)}") from None
    _check_twin(net, twin, model)
    if not any(weights.requires_grad for weights in net.parameters()):
        raise ValueError(f"{model} has no parameters to train; allowed is a network with at least one")
    if model.partition("@")[0] not in networks.NETS:
        _check_seed(twin, recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        with torch.no_grad():
            for weights in net.parameters():  # no pixel can change anything through zeros
                if weights.requires_grad and not weights.any():
                    weights.normal_(std=0.01)
        networks.probed(net.eval(), model)
        net.to(memory_format=networks.memory_format(net))
        _practise(net.train(), model, 2)
        if recipe.train_images % recipe.batch_size == 1:
            try:
                _practise(net, model, 1)
            except ValueError as error:
                raise ValueError(
                    f"train_images={recipe.train_images} in batches of {recipe.batch_size} leaves a last batch of one "
                    f"image; choose another train_images or batch_size: {error}"
                ) from None
        _check_kept(net.eval(), twin.eval(), model)


def _check_twin(net: networks.Net, twin: networks.Net, model: str) -> None:
    """Raises ValueError unless two networks of one seed are separate, and begin with the same weights."""
    own = {id(weights) for weights in net.parameters()}
    if any(id(weights) in own for weights in twin.parameters()):
        raise ValueError(f"{model} gives the same module each time; allowed is a function that makes a new one")
    other = networks.as_stored(twin)
    if any(not torch.equal(value, other[name]) for name, value in networks.as_stored(net).items()):
        allowed = "allowed are random numbers of torch's generator"
        raise ValueError(f"{model} begins with other weights each time, whatever the seed; {allowed}")


def _check_seed(net: networks.Net, recipe: Recipe) -> None:
    """Raises ValueError unless networks of two seeds begin with different weights, zeros and constants apart."""
    other = networks.build(recipe.model, recipe.seed ^ 1, **recipe.input)
    pairs = [
        (one, two)
        for one, two in zip(net.parameters(), other.parameters(), strict=True)
        if one.requires_grad and (one != one.flatten()[:1]).any()
    ]
    drawn = sum(int(one.count_nonzero()) for one, _ in pairs)
    same = sum(int(((one - two).abs() <= 1e-3 * one.std())[one != 0].sum()) for one, two in pairs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNLIKELY)
        networks.architecture(recipe.model)()
        seeded_anew = torch.initial_seed() != UNLIKELY
    if seeded_anew or 4 * same > 3 * drawn:
        raise ValueError(
            f"{recipe.model} begins with the same weights whatever the seed, so its trainings are not independent; "
            "allowed is a function that sets no seed of its own and draws its weights from torch's generator (for "
            "weights trained elsewhere: make import)"
        )


def _check_kept(net: networks.Net, twin: networks.Net, model: str) -> None:
    """Raises ValueError unless a new network with the stored weights of a trained one has its logits, copied or not."""
    kept = networks.as_stored(net)
    images = networks.as_read(networks.probe_digits())
    with torch.no_grad():
        before = networks.logits(net, model, images)
        networks.restore(net, kept)
        networks.restore(twin, kept)
        expected = networks.logits(net, f"{model}, stored in float16,", images)
        read_back = networks.logits(twin, model, images)
    if float((before - expected).abs().max()) > LOSS * float(before.max() - before.min()):
        raise ValueError(
            f"{model} loses its weights in float16, in which they are stored; allowed are weights near 1e-4 to 1e4"
        )
    if not networks.alike(read_back, expected):
        raise ValueError(
            f"{model} gives other logits once its weights are stored and read back; allowed is a network all of whose "
            "state is in its state_dict: register_buffer for what is drawn once or learnt besides its parameters"
        )
    try:
        probabilities = networks.predictor(net, "torch")(networks.probe_digits())
    except Exception as error:  # of anyone's code
        raise ValueError(f"{model} cannot be copied once it is trained: {networks.in_a_line(error)}") from None
    if np.abs(probabilities - expected.float().softmax(dim=1).numpy()).max() > 0.01:
        raise ValueError(f"{model} gives other logits once it is copied; copy.deepcopy must copy all of it")


def _practise(net: networks.Net, model: str, number: int) -> None:
    found = networks.logits(net, f"{model} in training", networks.as_read(networks.probe_digits()[:number]))
    if (found >= 0).all():
        networks.check_logits(net, f"{model} in training", found)
    try:
        functional.cross_entropy(found, torch.arange(number)).backward()  # the first ten digits are 0 to 9
    except RuntimeError as error:
        raise ValueError(f"{model} cannot be trained: {networks.in_a_line(error)}") from None
