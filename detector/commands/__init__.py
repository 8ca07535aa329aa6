"""Commands of `synthclic`: one module a command, found by its name.

It declares `HELP` (one line), `arguments(parser)` and `run(options)`. Nothing heavy is imported at a module's top: every
command's arguments are read before one of them runs.
"""
