"""The detectors as scikit-learn estimators: features in, one logit out."""

NAMES = ("linear", "orthogonal", "concept")
"""What they are called, for those who read only what they said: the classes themselves take seconds to import."""
