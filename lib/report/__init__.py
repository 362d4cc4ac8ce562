"""Figures, tables and sentences: what readers see of the numbers."""
