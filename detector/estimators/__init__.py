"""The detectors as scikit-learn estimators: features in, one logit out."""
