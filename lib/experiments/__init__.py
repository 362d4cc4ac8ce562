"""Experiments: which networks are trained and evaluated, how, and which contrasts of them are questions."""
