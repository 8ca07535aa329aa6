"""What detectors are worth: scores of images they never saw, and the metrics, tables and curves made of them."""
