"""How eight networks trained on MNIST survive four pixel noises: the shared functions.

Reads from left to right: data -> noise -> nets -> training -> sweep -> results -> figures.
"""

import warnings

# fastai's doing, once at its import; nothing that a reader of a notebook can act upon
warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=FutureWarning)
