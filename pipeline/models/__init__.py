"""Kinds of models that a `models` stage can make: one module a kind.

A kind declares `Settings` (its block of parameters) and `make(job)`, which writes the model folder and returns its
measured quality; see `pipeline.training.job`. One that no photograph can change says so by `SHOWN = False`: it
is not made again where there are new ones. Nothing heavy is imported at a module's top, so that parameters are checked in a
blink.
"""
