"""A training in small, before the real one: a network that could not be trained, stored or measured is told at once."""

import copy

import numpy as np
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn import functional

from lib import networks
from lib.store import data
from lib.training.recipe import Recipe


def rehearse(recipe: Recipe) -> None:
    """Copy and store the fresh network, probe it, train it on two images and on a last one alone, and read it back.

    It is a network of its own, and torch's random numbers are left as they were.

    Raises:
        ValueError: if one of these fails; a line that says what was found and what is allowed. Nothing is written.
    """
    model = recipe.model
    images, *_ = data.load(recipe.dataset).split()
    data.check_count(recipe.train_images, images, "train_images", recipe.dataset)
    net, twin = (networks.build(model, recipe.seed, **recipe.input) for _ in range(2))
    _check_twin(net, twin, model)
    if not any(weights.requires_grad for weights in net.parameters()):
        raise ValueError(f"{model} has no parameters to train; allowed is a network with at least one")
    try:
        copy.deepcopy(net)
        networks.restore(net, load(save(networks.as_stored(net))))
    except (Exception, SystemExit) as error:  # of anyone's code
        raise ValueError(f"{model} cannot be copied and stored: {networks.in_a_line(error)}") from None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        _leave_zero(net)
        networks.probed(net.eval(), model)
        net.to(memory_format=networks.memory_format(net))
        _practise(net.train(), model, 2)
        if recipe.train_images % recipe.batch_size == 1:
            try:
                _practise(net, model, 1)
            except ValueError as error:
                batches = f"train_images={recipe.train_images} in batches of {recipe.batch_size}"
                told = f"{batches} leaves a last batch of one image; choose another train_images or batch_size"
                raise ValueError(f"{told}: {error}") from None
        _check_kept(net.eval(), twin.eval(), model)


def _check_twin(net: networks.Net, twin: networks.Net, model: str) -> None:
    """Raises ValueError unless two networks of one seed are two, and begin alike."""
    own = {id(weights) for weights in net.parameters()}
    if any(id(weights) in own for weights in twin.parameters()):
        raise ValueError(f"{model} gives the same module each time; allowed is a function that makes a new one")
    other = twin.state_dict()
    if any(not torch.equal(value, other[name]) for name, value in net.state_dict().items()):
        raise ValueError(
            f"{model} has other weights each time, whatever the seed; allowed are random numbers of torch's generator"
        )


def _check_kept(net: networks.Net, twin: networks.Net, model: str) -> None:
    """Raises ValueError unless a fresh network with the stored weights of a trained one answers as that one does."""
    kept = networks.as_stored(net)
    networks.restore(net, kept)
    networks.restore(twin, kept)
    if not networks.answer_alike(net, twin, model):
        raise ValueError(
            f"{model} answers otherwise once its weights are stored and read back; allowed is a network all of whose "
            "state is in its state_dict: register_buffer for what is drawn once or learnt besides its parameters"
        )


def _leave_zero(net: nn.Module) -> None:
    """Give weights that start at nothing but zero, through which no pixel would be seen, a little of everything."""
    with torch.no_grad():
        for weights in net.parameters():
            if weights.requires_grad and not weights.any():
                weights.normal_(std=0.01)


def _practise(net: networks.Net, model: str, number: int) -> None:
    digits = data.load()
    images = torch.from_numpy(digits.train_images[:number, None] / np.float32(255))
    answers = networks.asked(net, f"{model} in training", images)
    try:
        functional.cross_entropy(answers, torch.from_numpy(digits.train_labels[:number].astype(np.int64))).backward()
    except RuntimeError as error:
        raise ValueError(f"{model} cannot be trained: {networks.in_a_line(error)}") from None
