"""Kinds of models that a `models` stage can make: one module a kind.

A kind declares `Settings` (its block of parameters) and `make(job)`, which writes the model folder and returns its
measured quality; see `pipeline.training.job`. Nothing heavy is imported at a module's top, so that parameters are
checked in a blink.
"""
