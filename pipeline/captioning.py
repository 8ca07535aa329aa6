"""Captions by any image-text-to-text model of transformers, from a folder or from the hub.

A captioner with a chat template is given the prompt as an instruction beside the image; one without continues it (BLIP) or
takes it as the name of its task (Florence-2).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.processes import device
from pipeline.weights import weights_folder

VERSION = 2
"""Raised by hand whenever the same settings would give other captions."""
LIBRARIES = ("torch", "torchvision", "transformers", "tokenizers", "safetensors", "numpy", "pillow")
"""Whose versions can change a caption: what computes, what reads weights and tokens, what prepares images."""
OPENING = "A photo of"
NOTHING_SAID = f"{OPENING} something"
"""What a caption is where the captioner said nothing; these are counted."""
_OWN_OPENING = r"^((this|the|an?) (image|picture|photo|photograph) (of|shows|is)|there (is|are)) "


class Captioner:
    """Loads once, captions uint8 images (H x W x 3) in batches.

    `settings` has prompt, max_new_tokens, dtype and decoding (arguments of `generate`; greedy where it is empty).
    """

    def __init__(self, folder: Path, settings: Any):
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        # Tiny matrices gain nothing from threads, and their number may change the last bit: it is part of the recipe.
        torch.set_num_threads(1)
        weights = weights_folder(folder)
        self.dtype = getattr(torch, settings.dtype)
        self.processor = AutoProcessor.from_pretrained(weights, local_files_only=True, trust_remote_code=False)
        model = AutoModelForImageTextToText.from_pretrained(
            weights, dtype=self.dtype, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
        self.model = model.to(device()).eval()
        self.prompt = settings.prompt
        self.decoding = {"max_new_tokens": settings.max_new_tokens, "do_sample": False, **settings.decoding}
        self.chats = getattr(self.processor, "chat_template", None) is not None

    def __call__(self, images: list[np.ndarray]) -> list[str]:
        import torch
        from PIL import Image

        pictures = [Image.fromarray(image) for image in images]
        inputs = self._chat(pictures) if self.chats else self._continuation(pictures)
        with torch.inference_mode():
            tokens = self.model.generate(**inputs.to(self.model.device, self.dtype), **self.decoding)
        asked = inputs["input_ids"]
        if self.chats and not self.model.config.is_encoder_decoder:
            tokens, asked = tokens[:, asked.shape[1] :], asked[:, :0]
        echoes = self.processor.batch_decode(asked, skip_special_tokens=True)  # BLIP says its prompt again
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return [opened(text.strip().removeprefix(echo.strip())) for text, echo in zip(texts, echoes, strict=True)]

    def _chat(self, pictures):
        chats = [
            [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": self.prompt}]}]
            for picture in pictures
        ]
        self.processor.tokenizer.padding_side = "left"
        return self.processor.apply_chat_template(
            chats, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt", processor_kwargs={"padding": True}
        )

    def _continuation(self, pictures):
        return self.processor(images=pictures, text=[self.prompt] * len(pictures), padding=True, return_tensors="pt")


def opened(text: str) -> str:
    """One line that starts with `A photo of`, whatever the captioner's own opening and white space were."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\s+,", ",", text)
    text = re.sub(_OWN_OPENING, "", text, flags=re.IGNORECASE)
    return f"{OPENING} {text}" if text else NOTHING_SAID
