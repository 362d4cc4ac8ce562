"""Files on disk and the parts that are recorded in them, the digits, and the check of what a notebook was asked for."""
