"""How eight networks trained on MNIST survive four pixel noises: the shared functions, in rooms.

What happens to a digit, from left to right; each room imports only what stands left of it, `adversarial` (Table 2)
what stands left of `experiments`:

    store -> noise -> networks -> training -> evaluation -> statistics -> experiments -> claims -> report -> explorer

`paper` is what the paper prints: its networks, noises, levels and tables. `store` holds files, the digits and the check
of a notebook's parameters; `noise` the rules of an attack; `networks` the architectures and their predictions;
`training` the rule of section 3.3; `evaluation` what a sweep records, and the one table of all accuracies;
`statistics` curves of trainings and contrasts of their means; `experiments` what is declared in `params/experiments`,
trained, evaluated and measured; `adversarial` attacks that search; `claims` the paper's claims and the rule that judges
them; `report` figures and tables; `explorer` the viewers with their widgets.
"""

import os
import warnings

if os.path.expanduser("~") == "~":  # without HOME and for a user unknown to the system, OpenVINO cannot be imported
    os.environ["HOME"] = "/nonexistent"

# fastai warns when it is imported and OpenVINO at every conversion; a reader of a notebook can change neither
warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=FutureWarning)
