"""Weights on disk: what is stored of a trained network, and the network from what is stored."""

import contextlib
import glob
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lib.networks.architectures import architecture
from lib.networks.net import FOLDED, Net, build, fold, repeats_of
from lib.networks.probe import kept_logits
from lib.networks.records import damaged, read_record, training_command, weights_path
from lib.store.files import OUTPUTS, file_hash, visible, write_atomically
from lib.store.parts import kept_record

ROUNDING = 1e-3  # of the logits' range, by which processors may differ


def as_stored(net: Net) -> dict[str, Tensor]:
    """The weights as files hold them: kernels and matrices in float16, vectors and running statistics in float32.

    VGG's first dense layer is folded (`repeats_of`) from 25088 to 512 inputs: 78 MB on disk instead of 279. Raises
    ValueError if the network keeps something other than tensors, as quantised modules and `get_extra_state` may.
    """
    weights = net.state_dict()
    others = [
        f"{name} ({type(value).__name__})"
        for name, value in weights.items()
        if not isinstance(value, Tensor) or value.is_quantized or value.layout != torch.strided
    ]
    if others:
        raise ValueError(f"its state_dict holds {', '.join(others[:3])}; allowed are tensors that are not quantised")
    if repeats := repeats_of(net):
        weights[FOLDED] = fold(weights[FOLDED], repeats)
    return {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value.clone()).contiguous()
        for name, value in weights.items()
    }


def restore(net: Net, weights: dict[str, Tensor]) -> None:
    """Put `as_stored` weights back into `net`, whose own parameters stay in float32."""
    if repeats := repeats_of(net):
        weights = weights | {FOLDED: weights[FOLDED].float().repeat_interleave(repeats, dim=1) / repeats}
    net.load_state_dict(weights)


def tensors_hash(weights: dict[str, Tensor]) -> str:
    """16 hexadecimal digits of the SHA-256 of names, types, shapes and bytes, whatever the order and the file."""
    found = hashlib.sha256()
    for name, value in sorted(weights.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()[:16]


def save_weights(net: Net, path: Path, record: dict) -> None:
    """Write the weights as `as_stored` gives them, with `record` in the file's header."""
    content = save(as_stored(net), metadata={"record": json.dumps(record)})
    write_atomically(path, lambda file: file.write(content))


def load(model: str, train_seed: int = 0, outputs: Path = OUTPUTS, dataset: str = "mnist") -> Net:
    """The trained network in eval mode, in float32, from its weights file; `dataset` is to evaluate it on.

    Raises FileNotFoundError, which names the command that trains it, if it has not been trained, and ValueError if the
    file does not hold weights of this network and seed, is not that of its kept record, was trained on another data
    set, equals another seed's weights, or now gives other logits than when trained.
    """
    architecture(model)
    path = weights_path(model, train_seed, outputs)
    record = read_record(path)
    recipe = record["recipe"]
    if (own := recipe.get("dataset", "mnist")) != dataset:
        raise ValueError(f"{model} with seed {train_seed} was trained on {own}: dataset must be {own}, not {dataset}")
    if not path.is_file():
        beside, instead = (training_command(path, f"-p {option}") for option in ("outputs FOLDER", "recompute True"))
        raise FileNotFoundError(
            f"the weights of {model} with seed {train_seed} are not kept; make them anew in another folder: {beside}, "
            f"or in place of what is recorded: {instead}"
        )
    if (kept := kept_record(path)) is not None and kept["weights"] != file_hash(path):
        raise ValueError(
            f"{path} is not the file that was trained: its hash is another than in {path.with_suffix('.json').name}; "
            "restore it, or delete both and train the network again"
        )
    chosen = {name: recipe[name] for name in ("normalize", "resize", "size") if name in recipe}  # else as by default
    net = build(model, train_seed, **chosen)
    try:
        weights = load_file(path)
        restore(net, weights)
    except (SafetensorError, RuntimeError, KeyError) as error:  # torch's where names or shapes differ
        raise damaged(path, error) from None
    if record.get("tensors", found := tensors_hash(weights)) != found:
        raise ValueError(f"{path} does not hold the tensors of its record; restore it, or train the network again")
    _check_independent(path, found)
    _check_code(net.eval(), record, model)
    return net


def _check_independent(path: Path, tensors: str) -> None:
    """Raises ValueError if a training of the same network with a smaller seed has the same weights."""
    stem, _, seed = path.stem.rpartition("-seed")
    for other in visible(path.parent, f"{glob.escape(stem)}-seed*.*"):
        number = other.stem.rpartition("-seed")[2]
        smaller = number.isdecimal() and int(number) < int(seed)
        if smaller and recorded_tensors(other.with_suffix(path.suffix)) == tensors:
            same = f"{path.name} holds the same weights as {other.stem}{path.suffix}: one training, not two"
            raise ValueError(f"{same}; delete it, and train this seed again")


def recorded_tensors(path: Path) -> str | None:
    """The `tensors_hash` of a training, from its record or its weights; None if neither is there and readable."""
    with contextlib.suppress(ValueError, SafetensorError, OSError):
        record = kept_record(path) or read_record(path)
        if "tensors" in record or path.is_file():
            return record.get("tensors") or tensors_hash(load_file(path))
    return None


def _check_code(net: Net, record: dict, model: str) -> None:
    """Raises ValueError if the network's code has changed since its training, or that of torch, torchvision or timm."""
    if "logits" not in record:  # of trainings recorded before logits were
        return
    before, now = np.array(record["logits"]), np.array(kept_logits(net, model))
    if (apart := np.abs(now - before).max()) > ROUNDING * np.ptp(before):
        versions = ", ".join(f"{name} {record[name]}" for name in ("torch", "torchvision", "timm") if name in record)
        raise ValueError(
            f"the code of {model} is not the code it was trained with: its logits on ten digits differ by up to "
            f"{apart:.2g}; restore the code or the versions of that training ({versions}), or train it again"
        )
