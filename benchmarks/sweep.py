"""A sweep beside its forward passes alone, and OpenVINO beside torch, in one run: `make benchmark`.

Takes the trained networks that are there among fc and resnet18, and fresh ones for the comparisons of engines.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from lib import networks
from lib.evaluation.plan import Plan
from lib.evaluation.sweep import sweep
from lib.networks.inference import BATCH, predictor
from lib.store import data
from lib.store.files import OUTPUTS


def seconds(work, *arguments) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def overhead(model: str, images: int) -> None:
    """The time of a whole sweep of 81 parts of levels, with noise and writing, over that of its forward passes."""
    with tempfile.TemporaryDirectory() as folder:
        weights = networks.weights_path(model, outputs=Path(folder))
        weights.parent.mkdir()
        weights.symlink_to(networks.weights_path(model, outputs=OUTPUTS))
        plan = Plan(model=model, images=images, outputs=folder)
        probabilities = predictor(networks.load(model))
        digits = data.load().test_images[:images]
        probabilities(digits)
        whole = seconds(sweep, plan)
        forward = seconds(lambda: [probabilities(digits) for _ in range(81)])
        load = seconds(lambda: predictor(networks.load(model)))
    print(
        f"{model}: sweep {whole - load:.1f} s + {load:.1f} s to load and convert the network, forward passes alone "
        f"{forward:.1f} s: {(whole - load) / forward:.3f}x over {81 * images:,} images"
    )


def engines(model: str) -> None:
    net = networks.build(model).eval()
    images = data.load().test_images[: 4 * BATCH]
    batch = torch.from_numpy(images[:BATCH].copy()).unsqueeze(1).float() / 255

    def eager() -> None:
        with torch.inference_mode():
            net(batch)

    eager()
    plain = min(seconds(eager) for _ in range(5)) / BATCH
    found = {}
    for engine in ("torch", "openvino"):
        probabilities = predictor(networks.build(model).eval(), engine)
        probabilities(images)
        found[engine] = min(seconds(probabilities, images) for _ in range(3)) / len(images)
    print(
        f"{model}: ms an image: plain torch {1e3 * plain:.2f}, prepared {1e3 * found['torch']:.2f}, "
        f"OpenVINO {1e3 * found['openvino']:.2f} ({plain / found['openvino']:.1f}x and "
        f"{found['torch'] / found['openvino']:.1f}x faster)"
    )


def training_formats(model: str) -> None:
    """A training step on 64 images with either memory format: why lib.networks.memory_format chooses as it does."""
    rates = {}
    for format in (torch.contiguous_format, torch.channels_last):
        net = networks.build(model).to(memory_format=format).train()
        images, labels = torch.rand(64, 1, 28, 28), torch.randint(10, (64,))

        def step(net=net, images=images, labels=labels) -> None:
            torch.nn.functional.cross_entropy(net(images), labels).backward()

        step()
        rates[format] = float(np.median([seconds(step) for _ in range(3)])) / 64
    plain, last = rates.values()
    chosen = "channels_last" if networks.memory_format(networks.build(model)) == torch.channels_last else "contiguous"
    print(
        f"{model}: training ms an image: contiguous {1e3 * plain:.1f}, channels_last {1e3 * last:.1f}; chosen: {chosen}"
    )


if __name__ == "__main__":
    overhead("fc", 1000)
    overhead("resnet18", 200)
    for model in ("fc", "resnet18", "resnet50", "efficientnet_b1"):
        engines(model)
    for model in ("resnet18", "resnet50", "efficientnet_b1"):
        training_formats(model)
