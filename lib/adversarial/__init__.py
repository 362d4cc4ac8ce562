"""Attacks that search for the nearest misclassified image (Table 2), and robust accuracy."""
