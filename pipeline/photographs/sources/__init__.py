"""Where photographs come from, one module a kind.

A kind declares `OFFICIAL_SPLITS` (whether its originals carry splits of their own) and `find(source) -> list[Original]`,
which decodes nothing and raises UserError for what the user must mend. A kind that passes over files of the user's also
has `unsupported(source) -> list[Path]`, so that nothing disappears silently.
"""
