"""From accuracies to what they say: curves of trainings, contrasts of means over trainings, intervals over images."""
