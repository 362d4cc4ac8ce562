"""The noises as a torchvision transform, for training or testing a network of one's own."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from lib.noise.perturbation import MOST_ATTACKS, attack_tabulated, check_drawing
from lib.noise.rules import Noise, default_c, find, is_whole, tabulated
from lib.noise.tensors import map_tabulated


class PixelNoise(v2.Transform):
    """Attacks the pixels of every image; each image and each call is a draw of its own.

    The draws come from torch's CPU generator: `torch.manual_seed` reproduces them, on every device, and every worker of
    a DataLoader has different ones. As with all transforms of torchvision's v2, what is beside an image passes through,
    only the first of several plain tensors is the image, and a tv_tensor stays one. For example,
    `v2.Compose([PixelNoise("white_to_black", (0, 100)), v2.ToDtype(torch.float32, scale=True)])`.

    An image is uint8 of shape (C, H, W), a batch (..., C, H, W), with C = 1 (grey) or 3 (red, green and blue, by
    luminance: see `perturb`). H and W are the image's own, so put this before any resizing. The output has the same
    shape, type and device. A batch on a CUDA device is attacked there under the default reading, otherwise on the CPU;
    the pixels are the same.

    `attacks` is how many pixels are attacked, or (low, high), from which each image draws its own number, both ends
    included; the other arguments are as in `perturb`. Raises ValueError if one is not as described, and at the call
    TypeError if the input is not a uint8 tensor, or holds no image.
    """

    _transformed_types = (v2.functional.is_pure_tensor, tv_tensors.Image, tv_tensors.Video, Image.Image)

    def __init__(
        self,
        noise: str | Noise,
        attacks: int | tuple[int, int],
        c: float | None = None,
        *,
        replacement: bool = True,
        source: str = "clean",
    ):
        super().__init__()
        low, high = attacks if isinstance(attacks, tuple | list) and len(attacks) == 2 else (attacks, attacks)
        if not is_whole(high, MOST_ATTACKS) or not is_whole(low, int(high)):
            raise ValueError(f"attacks must be an integer from 0 to {MOST_ATTACKS:,}, or (low, high), not {attacks!r}")
        check_drawing(replacement, source)
        self.attacks, self.c, self.replacement, self.source = (int(low), int(high)), c, bool(replacement), source
        self.tables = tabulated(find(noise), default_c(noise, c))  # without the functions, which may not be picklable

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        if not any(self._needs_transform_list(flat_inputs)):
            kinds = ", ".join(type(given).__name__ for given in flat_inputs) or "nothing"
            raise TypeError(f"PixelNoise needs a uint8 tensor, not {kinds}; put v2.ToImage() before it")

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not isinstance(inpt, Tensor):
            raise TypeError(f"PixelNoise needs a uint8 tensor, not {type(inpt).__name__}; put v2.ToImage() before it")
        if inpt.dtype != torch.uint8:
            raise TypeError(f"PixelNoise needs a uint8 tensor, not {inpt.dtype}; put it before v2.ToDtype")
        if inpt.ndim < 3 or inpt.shape[-3] not in (1, 3) or 0 in inpt.shape[-2:]:
            raise ValueError(f"PixelNoise needs (..., C, H, W) with C 1 or 3 and a pixel, not {tuple(inpt.shape)}")
        images = inpt.detach().as_subclass(Tensor).reshape(-1, *inpt.shape[-3:])  # (n, C, H, W)
        images = images[:, 0] if images.shape[1] == 1 else images.movedim(1, -1)  # (n, H, W) or (n, H, W, 3)
        seed = int(torch.randint(2**63 - 1, (), device="cpu"))
        low, high = self.attacks
        levels = torch.randint(low, high + 1, (len(images),), device="cpu")
        on_device = images.is_cuda and self.replacement and self.source == "clean"
        noisy = (self._on_device if on_device else self._on_cpu)(images, levels, seed)
        noisy = (noisy.movedim(-1, 1) if noisy.ndim == 4 else noisy).reshape(inpt.shape).to(inpt.device)
        if isinstance(inpt, tv_tensors.TVTensor):
            return tv_tensors.wrap(noisy, like=inpt)
        return noisy.as_subclass(type(inpt))

    def _on_cpu(self, images: Tensor, levels: Tensor, seed: int) -> Tensor:
        """The images (n, H, W) or (n, H, W, 3), each after its own number of attacks, `levels` (n,)."""
        clean, attacks, how = images.cpu().numpy(), levels.numpy(), (self.replacement, self.source)
        noisy = np.empty(clean.shape, np.uint8)
        for number in np.unique(attacks):
            index = np.flatnonzero(attacks == number)
            noisy[index], *_ = attack_tabulated(clean[index], self.tables, np.array(number), seed, index, *how)
        return torch.from_numpy(noisy)

    def _on_device(self, images: Tensor, levels: Tensor, seed: int) -> Tensor:
        """As `_on_cpu`, on the device of the images, for the default reading."""
        index = torch.arange(len(images), device=images.device)
        return map_tabulated(images, self.tables, self.attacks[1], seed, index).at(levels.to(images.device))

    def extra_repr(self) -> str:
        given = {"noise": self.tables.name, "attacks": self.attacks, "c": self.c}
        given |= {"replacement": self.replacement, "source": self.source}
        return ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
