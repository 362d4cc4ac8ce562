"""Files on disk, the digits, and the check of what a notebook was asked for."""
