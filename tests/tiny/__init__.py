"""Random-weight models of the real classes, a few hundred kB each, built without a hub and saved as the big ones are.

Tests load them through the very code that loads the real ones. Nothing heavy is imported until something is built.
"""
