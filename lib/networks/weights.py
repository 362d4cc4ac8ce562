"""Weights on disk: what is stored of a trained network, and the network from what is stored."""

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lib.networks.architectures import architecture, damaged, read_record, training_command, weights_path
from lib.networks.net import FOLDED, Net, build, fold, repeats_of
from lib.store.files import OUTPUTS, file_hash, write_atomically
from lib.store.parts import kept_record


def as_stored(net: Net) -> dict[str, Tensor]:
    """The weights as files hold them: kernels and matrices in float16, vectors and running statistics in float32.

    VGG's first dense layer is folded (`repeats_of`) from 25088 to 512 inputs: 78 MB on disk instead of 279.
    """
    weights = net.state_dict()
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


def save_weights(net: Net, path: Path, record: dict) -> None:
    """Write the weights as `as_stored` gives them, with `record` in the file's header."""
    content = save(as_stored(net), metadata={"record": json.dumps(record)})
    write_atomically(path, lambda file: file.write(content))


def load(model: str, train_seed: int = 0, outputs: Path = OUTPUTS, dataset: str = "mnist") -> Net:
    """The trained network in eval mode, in float32, from its weights file.

    Args:
        dataset: on which it is to be asked.

    Raises:
        FileNotFoundError: if it has not been trained; it names the command that does.
        ValueError: if the file does not hold weights of this network, is not the one that its kept record is of
            (`training.fit.train`), or was trained on another data set.
    """
    architecture(model)
    path = weights_path(model, train_seed, outputs)
    recipe = read_record(path)["recipe"]
    if (own := recipe.get("dataset", "mnist")) != dataset:
        raise ValueError(f"{model} with seed {train_seed} was trained on {own}: dataset must be {own}, not {dataset}")
    if not path.is_file():
        told = f"the weights of {model} with seed {train_seed} are not kept"
        raise FileNotFoundError(f"{told}; make them anew with: {training_command(path)}")
    kept = kept_record(path)
    if kept is not None and kept["weights"] != file_hash(path):
        raise ValueError(
            f"{path} is not the file that was trained: its hash is another than in {path.with_suffix('.json').name}; "
            "restore it, or delete both and train the network again"
        )
    chosen = {name: recipe[name] for name in ("normalize", "resize", "size") if name in recipe}  # else as by default
    net = build(model, train_seed, **chosen)
    try:
        restore(net, load_file(path))
    except (SafetensorError, RuntimeError, KeyError) as error:  # torch's where names or shapes differ
        raise damaged(path, error) from None
    return net.eval()
