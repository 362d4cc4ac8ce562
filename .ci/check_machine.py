"""Says in one line why this machine cannot hold the environment. Runs under any Python, to tell one that is too old."""

import shutil
import sys

GIGABYTES = 8  # torch's wheels for Linux bring CUDA along

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "Python 3.11, 3.12 or 3.13 is needed, %s is %d.%d; name another one: make PYTHON=python3.12"
        % ((sys.executable,) + sys.version_info[:2])
    )
free = shutil.disk_usage(".").free / 1e9
if free < GIGABYTES:
    sys.exit("The environment needs %d GB of disk, %.1f GB are free here" % (GIGABYTES, free))
