"""What the paper leaves open: the options, their runs, and what each of them moves."""
