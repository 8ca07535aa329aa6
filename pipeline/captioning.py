"""Captions by any image-text-to-text model of transformers, from a folder or hub id.

A captioner with a chat template is given the prompt as an instruction beside the image; one without (BLIP) continues it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

OPENING = "A photo of"
_OWN_OPENING = r"^((this|the|an?) (image|picture|photo|photograph) (of|shows|is)|there (is|are)) "


class Captioner:
    """Loads once, captions uint8 images (H x W x 3) in batches by greedy decoding."""

    def __init__(self, folder: Path, prompt: str, max_new_tokens: int):
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.processor = AutoProcessor.from_pretrained(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder).eval()
        self.prompt, self.max_new_tokens = prompt, max_new_tokens
        self.chats = getattr(self.processor, "chat_template", None) is not None

    def __call__(self, images: list[np.ndarray]) -> list[str]:
        import torch
        from PIL import Image

        pictures = [Image.fromarray(image) for image in images]
        inputs = self._chat(pictures) if self.chats else self._continuation(pictures)
        with torch.inference_mode():
            tokens = self.model.generate(**inputs.to(self.model.device), max_new_tokens=self.max_new_tokens, do_sample=False)
        if self.chats:
            tokens = tokens[:, inputs["input_ids"].shape[1] :]
        return [opened(text) for text in self.processor.batch_decode(tokens, skip_special_tokens=True)]

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
    return f"{OPENING} {text}" if text else f"{OPENING} something"
