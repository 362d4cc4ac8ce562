r"""How eight networks trained on MNIST survive four pixel noises: the shared functions, in rooms.

What happens to a digit, from left to right; each room imports only what stands left of it:

    store -> noise -> networks -> training -> evaluation -> readings -> analysis -> report -> explorer
                                                        \-> adversarial (Table 2)

`paper` is what the paper prints: its networks, noises, levels and tables. `store` holds files, the digits and the check
of a notebook's parameters; `noise` the rules of an attack; `networks` the architectures and their answers; `training`
the rule of section 3.3; `evaluation` what a sweep records and its accuracies; `adversarial` attacks that search;
`readings` what the paper leaves open; `analysis` networks compared, and the claims with the rule that judges them;
`report` figures, tables and sentences; `explorer` the viewers with their widgets.
"""

import os
import warnings

if os.path.expanduser("~") == "~":  # without HOME and for a user unknown to the system, OpenVINO cannot be imported
    os.environ["HOME"] = "/nonexistent"

# fastai warns when it is imported and OpenVINO at every conversion; a reader of a notebook can change neither
warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=FutureWarning)
