"""Which generator made an image, or none that is known."""
