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
    """Copy and store the fresh network, read it back, probe it, and train it on two images and on a last one alone.

    It is a network of its own, and torch's random numbers are left as they were.

    Raises:
        ValueError: if one of these fails; a line that says what was found and what is allowed. Nothing is written.
    """
    model = recipe.model
    net = networks.build(model, recipe.seed, **recipe.input)
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
