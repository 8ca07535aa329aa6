"""Learning to tell synthetic images from photographs, and judging how well: features, detectors, metrics.

`load_detector(folder)` gives a trained detector; label 0 is real, 1 is synthetic, everywhere.
"""

from detector.saved import Detector, load_detector, save_detector

__all__ = ["Detector", "load_detector", "save_detector"]
