r"""How eight networks trained on MNIST survive four pixel noises: the shared functions.

Reads from left to right, each module importing only what stands left of it:

    data -> noise -> nets -> training -> sweep -> results -> study -> comparison -> figures -> explorer -> viewers
                                              \-> attacks -> trials -> bounds (Table 2)

`kernel` is the compiled part of noise; `recipe` and `callbacks` belong to training, `plan` and `inference` to sweep,
`surveys`, `handwriting` and `pictures` to explorer, `knobs`, `panels` and `survey_viewers` to viewers. `study` says
which networks are compared, `estimates` is the statistics of it; `depth`, `shapes` and `foreground` each ask one
question of a comparison; `claims` are what the paper says, as `statements`, which hold the rule that judges them;
`tables` and `comparison_figures` show the answers. What the paper leaves open is tried by `readings -> grid ->
effects`, and `ranking` asks two of its claims about it; `reading_figures` draws both. `records` (files), `progress`
(the bar) and `parameters` (what a notebook was asked for) serve them all.
"""

import warnings

# fastai at its import and OpenVINO at every conversion; nothing that a reader of a notebook can act upon
warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=FutureWarning)
