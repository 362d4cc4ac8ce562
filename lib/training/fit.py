"""Training by the paper's rule (section 3.3) with a fastai Learner; a run that is killed continues where it was."""

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper

from lib import networks
from lib.store import data
from lib.store.files import ROOT, file_hash, lock, provenance, read_arrays, recipe_hash, write_atomically
from lib.store.parts import kept_record, weights_hash
from lib.training.callbacks import Rule, Uncounted
from lib.training.recipe import Recipe
from lib.training.rehearsal import rehearse


def _loader(images: np.ndarray, labels: np.ndarray, batch_size: int, device: torch.device) -> DataLoader:
    """Batches cut from images on `device`, in the order of the arrays; `Rule` sets another for the training images."""
    pixels = torch.from_numpy(images.copy()).unsqueeze(1).to(device)  # (n, 1, 28, 28) uint8
    classes = torch.from_numpy(labels.astype(np.int64)).to(device)

    def cut(chosen: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return pixels[chosen].float() / 255, classes[chosen]

    return DataLoader(range(len(labels)), bs=batch_size, device=device, do_batch=cut)


def train(recipe: Recipe, then: Recipe | None = None) -> dict:
    """Train one network (section 3.3) and write its weights file, or find it written; a killed run continues.

    With `recompute`, what is recorded is replaced: weights, record, and all that was computed from those weights. If
    the new weights equal the recorded ones, everything stays as it is. `then` is the same recipe with more epochs, to
    be trained next: it continues where this one ends.

    Returns the record in the weights file's header: `recipe` with its version, the machine (`networks.machine`),
    `epochs`, `losses` (one a batch), `stored_accuracy` (percent of the 5,000 validation images, with the weights as
    stored), `tensors` (`networks.tensors_hash`), `logits` (`networks.kept_logits`), versions and commit.

    Raises ValueError if weights by another recipe lie under this name, a training is recorded whose weights are not
    kept, `then` does not begin with this recipe, or the network cannot be trained, stored or measured (`rehearse`).
    """
    if then is not None and not then.begins_with(recipe):
        raise ValueError(f"{then} does not continue where {recipe} ends")
    if (found := _recorded(recipe)) is not None:  # without a lock, which needs the right to write
        return found
    rehearse(recipe)
    checkpoint = _checkpoint(recipe)
    with lock(checkpoint):
        if (found := _recorded(recipe)) is not None:  # another process trained it meanwhile
            return found
        maker = provenance()  # of the code as it is when the run begins
        net, history = _fit(recipe, checkpoint)
        record_weights(net, recipe.weights, recipe.in_record | history | maker)
        if then is None or then.weights.is_file():
            checkpoint.unlink()
        else:
            checkpoint.replace(_checkpoint(then))
    return networks.read_record(recipe.weights)


def _recorded(recipe: Recipe) -> dict | None:
    """The record of this training, None if it is to be trained. Raises ValueError if something else is in its place."""
    kept = kept_record(recipe.weights)
    if recipe.recompute or (kept is None and not recipe.weights.is_file()):
        return None
    if not recipe.weights.is_file():
        raise ValueError(
            f"{recipe.weights.with_suffix('.json')} records a training whose weights are not kept, and "
            f"{len(_computed_from(recipe.weights))} files computed from them, to which another training would not "
            "belong; give another outputs=FOLDER, or recompute=True to replace the record and remove those files"
        )
    record = networks.read_record(recipe.weights)
    if "imported" in record or recipe.of(record).recorded != recipe.recorded:
        maker = f"another recipe: {record['recipe']}" if "imported" not in record else "an import"
        raise ValueError(
            f"{recipe.weights} was made by {maker}; choose another @WORD for {recipe.recorded}, or recompute=True to "
            "replace it"
        )
    return record


def record_weights(net: networks.Net, weights: Path, record: dict) -> None:
    """Write weights and their record, and remove what other weights gave; nothing changes if these are recorded."""
    tensors = networks.tensors_hash(networks.as_stored(net))
    kept = weights.with_suffix(".json")
    if networks.recorded_tensors(weights) == tensors:
        before = kept_record(weights)
        if before is not None and not weights.is_file():
            networks.save_weights(net, weights, {name: value for name, value in before.items() if name != "weights"})
        return
    record = {**record, "tensors": tensors, "logits": networks.kept_logits(net.cpu().eval(), weights.stem)}
    for path in _computed_from(weights):
        path.unlink()
    kept.unlink(missing_ok=True)
    networks.save_weights(net, weights, record)
    content = json.dumps(record | {"weights": file_hash(weights)}) + "\n"
    write_atomically(kept, lambda file: file.write(content.encode()))


def _computed_from(weights: Path) -> list[Path]:
    """What the folder of results holds that was computed from these weights: predictions, attacks, confidence, ..."""
    made_by, stem = weights_hash(weights), weights.stem
    return [
        path
        for path in sorted(weights.parents[1].rglob("[!.]*.npz"))
        if made_by
        and (stem in (path.parent.name, path.stem) or path.stem.startswith(f"{stem}-"))
        and made_by in json.dumps(read_arrays(path)[0])
    ]


def _checkpoint(recipe: Recipe) -> Path:
    stem = f"{networks.file_stem(recipe.model, recipe.seed)}-{recipe_hash(recipe.recorded)}"
    return ROOT / recipe.outputs / "checkpoints" / f"{stem}.pt"


def _fit(recipe: Recipe, checkpoint: Path) -> tuple[networks.Net, dict]:
    """The trained network, its weights rounded as they will be stored, and the history; from a checkpoint if any."""
    train_images, train_labels, valid_images, valid_labels = data.load(recipe.dataset).split()
    count, device = recipe.train_images, networks.device()
    loaders = DataLoaders(
        _loader(train_images[:count], train_labels[:count], recipe.batch_size, device),
        _loader(valid_images, valid_labels, 250, device),
        device=device,
    )
    net = networks.build(recipe.model, recipe.seed, **recipe.input)
    net = net.to(device, memory_format=networks.memory_format(net))
    torchs = {"sgd": partial(torch.optim.SGD, momentum=recipe.momentum), "adam": torch.optim.Adam}[recipe.optimizer]
    optimizer = partial(OptimWrapper, opt=torchs)  # its learning rate is set before each epoch
    learner = Learner(loaders, net, loss_func=CrossEntropyLossFlat(), opt_func=optimizer, metrics=accuracy)
    learner.recorder.add_time, learner.recorder.smooth_loss = False, Uncounted()
    learner.create_opt()
    state: dict[str, Any] = {"epochs": [], "losses": [], "batch": 0, "seconds": 0.0}
    if checkpoint.is_file():
        content = io.BytesIO(checkpoint.read_bytes())
        try:
            saved = torch.load(content, weights_only=True, map_location=device)
            net.load_state_dict(saved.pop("net"))
            learner.opt.load_state_dict(saved.pop("optimizer"))
        except Exception as error:  # from bytes in memory: whatever it is, they are not what was written
            damaged = f"damaged checkpoint {checkpoint} ({type(error).__name__})"
            raise ValueError(f"{damaged}; delete it, and the training begins anew") from None
        state = saved
    if not recipe.is_finished(state["epochs"]):
        with learner.no_logging():
            learner.fit(recipe.max_epochs - len(state["epochs"]), cbs=Rule(state, recipe, checkpoint))
    machine = networks.machine(net)
    kept = networks.build(recipe.model, recipe.seed, **recipe.input)  # as it will be read from the file
    networks.restore(kept, networks.as_stored(net))
    learner.model = kept.to(device, memory_format=networks.memory_format(kept))
    return kept, {
        **machine,
        "epochs": state["epochs"],
        "losses": [round(loss, 4) for loss in state["losses"]],
        "stored_accuracy": round(100 * float(learner.validate()[1]), 4),
    }
