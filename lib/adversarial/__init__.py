"""Attacks that search for the nearest wrong image (Table 2), recorded, and robust accuracy."""
