"""What is checked of every packaged source and measured of every benchmark; see `rules`, `benchmark` and `headers`."""
