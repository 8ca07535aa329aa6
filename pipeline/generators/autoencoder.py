"""An autoencoder by itself: the counterpart is the photograph encoded and decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.autoencoding import reconstruct_arrays
from pipeline.generators import Request, Textless
from pipeline.processes import device
from pipeline.schema import Strict
from pipeline.weights import weights_folder

MODES = ("reconstruction",)
VERSION = 1


class Settings(Strict):
    """Nothing to set: encoding takes the mode, decoding is deterministic."""


def load(folder: Path, settings: Settings, mode: str, key: str) -> AutoencoderGenerator:
    from diffusers import AutoModel

    weights = str(weights_folder(folder))
    model = AutoModel.from_pretrained(weights, local_files_only=True, use_safetensors=True, trust_remote_code=False)
    return AutoencoderGenerator(model.to(device()).eval())


class AutoencoderGenerator(Textless):
    def __init__(self, model):
        self.model = model

    def counterparts(self, requests: list[Request]) -> list[np.ndarray | None]:
        return reconstruct_arrays(self.model, [request.photograph for request in requests])

    def reconstructions(self, requests: list[Request]) -> list[np.ndarray] | None:
        return None  # the counterpart already is the reconstruction
