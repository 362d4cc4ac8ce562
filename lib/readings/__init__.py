"""What the paper leaves open about noises and trainings: what networks answer under each reading, beside Table 1."""
