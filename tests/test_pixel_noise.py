import copy
import pickle
import re

import numpy as np
import pytest
import torch
from conftest import run_python
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

import lib.noise
from lib.noise import NOISES, Noise, PixelNoise, attack_map, perturb_and_count, white_to_black

DRAWING = {"replacement": False, "source": "current"}


def digits(*shape: int) -> torch.Tensor:
    """Black and white at random, so that every noise finds as many pixels as it wants."""
    return 255 * torch.randint(2, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def altered(before: torch.Tensor, after: torch.Tensor) -> np.ndarray:
    """Pixels in which an image (..., C, H, W) differs: (...)."""
    return (before != after).any(dim=-3).sum(dim=(-2, -1)).numpy()


class Digits(Dataset):
    """Images that go through a transform one by one, as in a DataLoader's worker."""

    def __init__(self, transform: v2.Transform):
        self.images, self.transform = digits(8, 1, 12, 12), transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), index


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("shape", [(1, 9, 11), (3, 9, 11), (2, 4, 3, 9, 11), (0, 1, 9, 11), (1, 1, 1, 1)])
@pytest.mark.parametrize("drawing", [{}, DRAWING])
def test_it_is_perturb_with_torchs_seed(noise, shape, drawing):
    """The first number of torch's generator is the seed, and an image's place in the batch its index."""
    images = torch.randint(256, shape, dtype=torch.uint8)
    before = images.clone()
    torch.manual_seed(11)
    noisy = PixelNoise(noise, 9, 1.7, **drawing)(images)
    torch.manual_seed(11)
    seed = int(torch.randint(2**63 - 1, ()))
    arrays, found = (batch.reshape(-1, *shape[-3:]).movedim(1, -1).squeeze(-1).numpy() for batch in (images, noisy))
    expected, *_ = perturb_and_count(arrays, noise, 9, c=1.7, seed=seed, **drawing)
    assert type(noisy) is torch.Tensor and noisy.shape == shape and torch.equal(images, before)
    np.testing.assert_array_equal(found, expected)


def test_every_image_and_call_draws_anew_and_the_seed_brings_it_back():
    same = digits(1, 20, 20).expand(30, 1, 20, 20)
    noise = PixelNoise("random_pixel_invert", 10, **DRAWING)
    torch.manual_seed(3)
    first, second = noise(same), noise(same)
    assert len({image.numpy().tobytes() for image in [*first, *second]}) == 60
    torch.manual_seed(3)
    assert torch.equal(noise(same), first) and torch.equal(noise(same), second)
    torch.manual_seed(4)
    assert not torch.equal(noise(same), first)


def test_attacks_may_be_a_range_from_which_each_image_draws():
    """All numbers of the range come up, about equally often, and no other."""
    images = digits(1, 8, 8).expand(2000, 1, 8, 8)
    torch.manual_seed(0)
    counts = np.bincount(altered(images, PixelNoise("random_pixel_invert", (3, 7), **DRAWING)(images)))
    assert counts[:3].sum() == 0 and len(counts) == 8
    assert counts[3:].min() > 330 and counts[3:].max() < 470
    unchanged = PixelNoise("random_pixel_invert", [0, 0], **DRAWING)(images)
    assert torch.equal(unchanged, images) and unchanged.data_ptr() != images.data_ptr()


def test_what_stands_beside_an_image_passes_through_and_a_tv_tensor_stays_one():
    image, mask = tv_tensors.Image(digits(3, 9, 9)), tv_tensors.Mask(digits(1, 9, 9))
    boxes = tv_tensors.BoundingBoxes(torch.tensor([[0, 0, 4, 4]]), format="XYXY", canvas_size=(9, 9))
    sample = {"image": image, "mask": mask, "boxes": boxes, "label": torch.tensor([3, 4]), "name": "seven"}
    found = PixelNoise("random_pixel_invert", 5, **DRAWING)(sample)
    assert type(found["image"]) is tv_tensors.Image and altered(image, found["image"]) == 5
    assert all(found[name] is sample[name] for name in ("mask", "boxes", "label", "name"))
    film = tv_tensors.Video(digits(4, 3, 9, 9))
    noisy = PixelNoise("random_pixel_invert", 5, **DRAWING)(film)
    assert type(noisy) is tv_tensors.Video and altered(film, noisy).tolist() == [5] * 4
    pixels, label = PixelNoise("random_pixel_invert", 5, **DRAWING)(digits(1, 9, 9), torch.tensor(3))
    assert altered(digits(1, 9, 9), pixels) == 5 and label == 3
    picture = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3))
    pipeline = v2.Compose([v2.ToImage(), PixelNoise("black_to_white", (1, 5)), v2.ToDtype(torch.float32, scale=True)])
    assert pipeline(picture).shape == (3, 10, 10) and pipeline(picture).dtype == torch.float32


def test_images_may_lie_in_memory_as_they_like():
    images, noise = digits(4, 3, 10, 12), PixelNoise("edge_to_altered", 4, **DRAWING)
    for other in (images.contiguous(memory_format=torch.channels_last), images.flip(-1).flip(-1), images[:, :, :, ::2]):
        torch.manual_seed(1)
        expected = noise(other.clone().contiguous())
        torch.manual_seed(1)
        assert torch.equal(noise(other), expected)


def own_noise() -> Noise:
    """A noise of functions that cannot be pickled."""
    return Noise("own", "O", lambda b, c: 255 - b, 1, lambda b: b != 7, lambda b, n: n >= 0)


def loaded(start: str) -> torch.Tensor:
    torch.manual_seed(5)
    digits_seen = Digits(PixelNoise(own_noise(), 4, **DRAWING))
    loader = DataLoader(digits_seen, batch_size=4, num_workers=2, multiprocessing_context=start)
    images, index = map(torch.cat, zip(*loader, strict=True))
    assert index.tolist() == list(range(8)) and altered(digits(8, 1, 12, 12), images).tolist() == [4] * 8
    return images


@pytest.mark.slow
def test_workers_of_a_loader_draw_each_their_own_and_the_same_again():
    """Each of the two loads half of the images, started as on Linux and as on other systems."""
    first = loaded("fork")
    assert torch.equal(loaded("spawn"), first)
    changes = {(noisy != clean).numpy().tobytes() for noisy, clean in zip(first, digits(8, 1, 12, 12), strict=True)}
    assert len(changes) == 8


@pytest.mark.parametrize("noise", [own_noise(), white_to_black(100), *NOISES])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda noise: pickle.loads(pickle.dumps(noise))])
def test_a_copy_draws_the_same(noise, copied):
    first = PixelNoise(noise, (0, 9), 3, **DRAWING)
    images = (37 * torch.arange(5 * 64)).to(torch.uint8).reshape(5, 1, 8, 8)
    torch.manual_seed(2)
    expected = first(images)
    torch.manual_seed(2)
    assert torch.equal(copied(first)(images), expected) and not torch.equal(expected, images)
    shown = f"PixelNoise(noise={first.tables.name!r}, attacks=(0, 9), c=3, replacement=False, source='current')"
    assert repr(first) == repr(copied(first)) == shown


@pytest.mark.parametrize("noise", [*NOISES, own_noise()])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_on_a_card_takes_the_same_pixels(noise, channels):
    """The way that a batch on a card goes, here on the CPU."""
    images = torch.randint(256, (9, 13, 11, channels), dtype=torch.uint8).squeeze(-1)
    levels = torch.arange(9) * 7
    transform = PixelNoise(noise, (0, 56), 1.7)
    assert torch.equal(transform._on_device(images, levels, 2**62), transform._on_cpu(images, levels, 2**62))


@pytest.mark.parametrize("drawing", [{}, DRAWING])
def test_the_draws_do_not_depend_on_torchs_default_device(drawing):
    images, transform = digits(6, 1, 12, 12), PixelNoise("gaussian_noise", (1, 9), **drawing)
    torch.manual_seed(1)
    expected, there = transform(images), attack_map(images[:, 0], "edge_to_altered", 9).at(9)
    torch.set_default_device("meta")
    try:
        torch.manual_seed(1)
        found, here = transform(images), attack_map(images[:, 0], "edge_to_altered", 9).at(9)
    finally:
        torch.set_default_device(None)
    assert torch.equal(found, expected) and torch.equal(here, there)


MUST = r"attacks must be an integer from 0 to 100,000,000, or \(low, high\), not "


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"noise": "snow"}, ValueError, "unknown noise 'snow'; choose from random_pixel_invert"),
        *(
            ({"attacks": attacks}, ValueError, MUST + re.escape(repr(attacks)))
            for attacks in (-1, True, "5", (5, 3), (0, 2**63), (0, 1.5), [0, 5, 10])
        ),
        ({"c": 0}, ValueError, "c must be a finite number above 0, not 0"),
        ({"source": "later"}, ValueError, "unknown source 'later'"),
        ({"replacement": "no"}, ValueError, "replacement must be True or False, not 'no'"),
        ({"seed": 3}, TypeError, "unexpected keyword argument 'seed'"),
    ],
)
def test_wrong_arguments_are_refused_at_once(change, error, message):
    with pytest.raises(error, match=message):
        PixelNoise(**{"noise": "white_to_black", "attacks": 1} | change)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        *(
            ((torch.zeros(1, 4, 4, dtype=kind),), TypeError, f"uint8 tensor, not {kind}; put it before v2.ToDtype")
            for kind in (torch.float32, torch.bool)
        ),
        ((tv_tensors.Image(torch.zeros(3, 4, 4)),), TypeError, "needs a uint8 tensor, not torch.float32"),
        ((Image.new("RGB", (4, 4)),), TypeError, "needs a uint8 tensor, not Image; put v2.ToImage.. before it"),
        ((np.zeros((1, 4, 4), np.uint8), 3), TypeError, "not ndarray, int; put v2.ToImage.. before it"),
        (([],), TypeError, "not nothing"),
        *(
            ((digits(*shape),), ValueError, rf"\(..., C, H, W\) .* not {re.escape(str(shape))}")
            for shape in ((4, 4), (2, 4, 4), (1, 1, 0, 4))
        ),
    ],
)
def test_what_is_not_an_image_of_bytes_is_refused(given, error, message):
    with pytest.raises(error, match=message) as refused:
        PixelNoise("white_to_black", (0, 3))(*given)
    assert "\n" not in str(refused.value)


def test_the_room_imports_no_torch_until_it_is_asked_for():
    code = "import sys; sys.modules['torch'] = None; import lib.noise; print(lib.noise.perturb.__name__)"
    assert run_python(code) == (0, "perturb\n")
    with pytest.raises(AttributeError, match=r"module 'lib\.noise' has no attribute 'SpatialNoise'"):
        lib.noise.SpatialNoise  # noqa: B018
