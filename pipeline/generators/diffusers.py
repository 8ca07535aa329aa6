"""x"""
from pipeline.schema import Strict
MODES=("image-to-image",)
class Settings(Strict):
    strength: float
    num_inference_steps: int
    guidance_scale: float
