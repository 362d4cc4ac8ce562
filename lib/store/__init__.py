"""Files on disk, the recorded parts in them, the data sets, and the check of a notebook's parameters."""
