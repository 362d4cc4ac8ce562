"""How eight networks trained on MNIST survive four pixel noises: the shared functions.

Reads from left to right: data -> noise -> nets -> training -> sweep -> results -> figures.
"""

import warnings

# fastai at its import and OpenVINO at every conversion; nothing that a reader of a notebook can act upon
warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=FutureWarning)
