"""The noises among torchvision's transforms, for a training or a test of one's own."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from lib.noise.perturbation import MOST_ATTACKS, perturb
from lib.noise.rules import Noise, is_whole


class PixelNoise(v2.Transform):
    """Attacks the pixels of every image that comes through, each time and each image by a draw of its own.

    The draws come from torch's own generator: `torch.manual_seed` makes them the same again, and every worker of a
    DataLoader has others. As with all transforms of torchvision's second version, labels, boxes and masks beside an
    image pass through, of several plain tensors the first alone is the image, and a tv_tensor stays one. For instance::

        augment = v2.Compose([PixelNoise("white_to_black", (0, 100)), v2.ToDtype(torch.float32, scale=True)])

    Args:
        noise: a name of `NOISES`, or a `Noise`.
        attacks: pixels to attack; or (low, high), from which each image draws its own number, both ends included.
        c: the constant of equations (3) and (4), above 0; None: the noise's own.
        drawing: `replacement` and `source`, as `perturb` takes them.

    An image is uint8 of shape (C, H, W), a batch (..., C, H, W), with C = 1 (grey) or 3 (red, green and blue, by
    luminance: see `perturb`); H and W are the image's own, so this stands before any resizing that is to keep the
    pixels' size. What comes out has the same shape, type and device.

    Raises:
        ValueError: for anything else among the arguments; it says what was given and what is allowed.
        TypeError: at the call, if what comes through is no uint8 tensor, or holds no image at all.
    """

    _transformed_types = (v2.functional.is_pure_tensor, tv_tensors.Image, tv_tensors.Video, Image.Image)

    def __init__(
        self,
        noise: str | Noise,
        attacks: int | tuple[int, int],
        c: float | None = None,
        **drawing: Any,
    ):
        super().__init__()
        if unknown := drawing.keys() - {"replacement", "source"}:
            raise TypeError(f"PixelNoise knows no {', '.join(sorted(unknown))}; it takes replacement and source")
        low, high = attacks if isinstance(attacks, tuple | list) and len(attacks) == 2 else (attacks, attacks)
        if not is_whole(high, MOST_ATTACKS) or not is_whole(low, int(high)):
            raise ValueError(f"attacks must be an integer from 0 to {MOST_ATTACKS:,}, or (low, high), not {attacks!r}")
        perturb(np.zeros((1, 1, 1), np.uint8), noise, 0, c=c, **drawing)  # says what else is wrong
        self.noise, self.attacks, self.c, self.drawing = noise, (int(low), int(high)), c, drawing

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        if not any(self._needs_transform_list(flat_inputs)):
            kinds = ", ".join(type(given).__name__ for given in flat_inputs) or "nothing"
            raise TypeError(f"PixelNoise needs a uint8 tensor, not {kinds}; put v2.ToImage() before it")

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not isinstance(inpt, torch.Tensor):
            raise TypeError(f"PixelNoise needs a uint8 tensor, not {type(inpt).__name__}; put v2.ToImage() before it")
        if inpt.dtype != torch.uint8:
            raise TypeError(f"PixelNoise needs a uint8 tensor, not {inpt.dtype}; put it before v2.ToDtype")
        if inpt.ndim < 3 or inpt.shape[-3] not in (1, 3) or 0 in inpt.shape[-2:]:
            raise ValueError(f"PixelNoise needs (..., C, H, W) with C 1 or 3 and a pixel, not {tuple(inpt.shape)}")
        images = inpt.detach().as_subclass(torch.Tensor).cpu().reshape(-1, *inpt.shape[-3:])  # (n, C, H, W)
        noisy = torch.from_numpy(self._attacked(images.movedim(1, -1).numpy())).movedim(-1, 1)
        noisy = noisy.reshape(inpt.shape).to(inpt.device)
        if isinstance(inpt, tv_tensors.TVTensor):
            return tv_tensors.wrap(noisy, like=inpt)
        return noisy.as_subclass(type(inpt))

    def _attacked(self, images: np.ndarray) -> np.ndarray:
        """(n, H, W, C) uint8, each after as many attacks as it drew."""
        seed = int(torch.randint(2**63 - 1, ()))
        low, high = self.attacks
        attacks = torch.randint(low, high + 1, (len(images),)).numpy()
        noisy = np.empty_like(images)
        for number in np.unique(attacks):
            index = np.flatnonzero(attacks == number)
            chosen = images[index]  # (n, H, W, C)
            grey = chosen.shape[-1] == 1
            found = perturb(
                chosen[..., 0] if grey else chosen, self.noise, number, c=self.c, seed=seed, index=index, **self.drawing
            )
            noisy[index] = found[..., None] if grey else found
        return noisy

    def extra_repr(self) -> str:
        given = {"noise": self.noise, "attacks": self.attacks, "c": self.c, **self.drawing}
        return ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
