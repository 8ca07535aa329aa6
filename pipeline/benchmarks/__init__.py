"""Benchmarks: other labelled datasets that take part in the evaluation, one module a kind.

A kind declares `Settings` (its block of parameters) and `rows(key, params, aside) -> Iterator[dict]`: every image of the
benchmark `params.benchmarks[key]` as a row with

    image_id    shared by a real image and what was made from it; unique for one split, source and label
    group       what splits, folds and intervals go by; the image_id where nothing else is known
    split       train, validation or test, as the benchmark states it
    label       0 real, 1 synthetic
    source      where the image came from, in the benchmark's own words; one source may mix both labels
    image       {bytes, path}: the original bytes, whatever their format, and the original name
    width, height, sha256, licence

Images that cannot be read are left out and appended to `aside` as {image, source, reason}. Nothing is re-encoded, resized
or corrected: a benchmark is measured as it is. What the user must mend raises UserError.
"""
