"""Learning to tell synthetic images from photographs, and judging how well: features, detectors, metrics.

`load_detector(path)` gives a trained or a published detector; label 0 is real, 1 is synthetic, everywhere.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detector.saved import Detector, load_detector, save_detector

__all__ = ["Detector", "load_detector", "save_detector"]


def __getattr__(name: str) -> Any:
    """The names above, imported when they are asked for: scikit-learn costs the command line seconds it seldom needs."""
    if name in __all__:
        from detector import saved

        return getattr(saved, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
