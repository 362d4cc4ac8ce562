"""How eight networks trained on MNIST survive four pixel noises: the shared functions.

Reads from left to right: data -> noise -> nets -> training -> sweep -> results -> figures.
"""
