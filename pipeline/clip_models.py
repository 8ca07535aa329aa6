"""A CLIP in use, of open_clip or of transformers; both give the same features.

pooled: the CLS token after the final LayerNorm, before the projection. projected: after it. A block's CLS token is a third
point: the residual stream as the block leaves it, without any LayerNorm.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial

from pipeline.clip_preprocessing import Preprocessing
from pipeline.errors import UserError
from pipeline.processes import device


class ClipModel(ABC):
    """A CLIP ready to use: frozen, on the accelerator where there is one, with its projection apart from the image tower.

    `blocks` are the transformer blocks of its image tower, `words` is the token embedding of its text tower.
    """

    def __init__(self, model, tokenizer, projection, blocks, words, preprocessing: Preprocessing):
        self.model = model.to(device()).eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.projection = projection.detach().to(device())
        """pooled x embedding."""
        self.blocks, self.words = blocks, words
        self.preprocessing = preprocessing
        self.side = preprocessing.crop
        """Pixels of the square it sees."""
        self._asked = threading.local()  # blocks by number, while a thread wants their CLS tokens
        for number, block in enumerate(blocks):  # at once and for good: hooks may not come and go while other threads compute
            block.register_forward_hook(partial(self._keep, number))

    def to(self, dtype) -> ClipModel:
        self.model, self.projection = self.model.to(dtype), self.projection.to(dtype)
        return self

    @abstractmethod
    def pooled(self, pixels):
        """N x pooled, of pixels N x 3 x side x side on its device; differentiable with respect to them."""

    @abstractmethod
    def embeddings(self, texts: list[str]):
        """N x embedding, not normalised."""

    @abstractmethod
    def _tokens(self, texts: list[str]):
        """N x length of the text tower: [SOS][text][EOS] and padding."""

    @abstractmethod
    def _ends(self, tokens):
        """The place of the EOS in each row: of what is there the text's embedding is made."""

    @abstractmethod
    def _embedded(self, tokens):
        """N x embedding of `_tokens`, not normalised."""

    def pooled_and_blocks(self, pixels, blocks: Sequence[int]) -> tuple:
        """(`pooled`, and for each of these blocks N x pooled: the CLS token as it leaves the block), in one pass."""
        self._asked.found = found = dict.fromkeys(blocks)
        try:
            return self.pooled(pixels), *(found[block] for block in blocks)
        finally:
            del self._asked.found

    def _keep(self, number: int, module, arguments, tokens) -> None:
        found = getattr(self._asked, "found", ())
        if number in found:
            found[number] = tokens[:, 0].clone()  # a view would keep all of the tokens in memory

    @property
    def text_width(self) -> int:
        """Of one token's embedding."""
        return self.words.embedding_dim

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied by to be logits: the exponential of the parameter."""
        return self.model.logit_scale.exp().item()

    def prompt_tokens(self, texts: list[str], context: int):
        """T x length of [SOS][`context` placeholders][text][EOS] and padding, on its device, for `embed_prompts`.

        Raises UserError where that is longer than the text tower reads.
        """
        import torch

        tokens = self._tokens(texts)
        length, ends = tokens.shape[1], self._ends(tokens)
        if int(ends.max()) + context >= length:
            text = texts[int(ends.argmax())]
            raise UserError(
                f"attribution.occ_clip.context: {context} learned tokens do not fit beside {text[:50]!r} into the {length} tokens that "
                "this CLIP reads; lower it"
            )
        start = tokens[:, :1]  # any token that ends no text will do in place of the learned ones
        return torch.cat([start, start.expand(-1, context), tokens[:, 1 : length - context]], 1).to(device())

    def embed_prompts(self, tokens, vectors):
        """T x embedding of `prompt_tokens`, not normalised, with `vectors` (T x context x text_width, on its device) in place of
        the placeholders' token embeddings; differentiable with respect to them. Positions are added to them as to any token.
        """
        import torch

        def learned(module, arguments, found):
            return torch.cat([found[:, :1], vectors, found[:, 1 + vectors.shape[1] :]], 1)

        with self.words.register_forward_hook(learned):
            return self._embedded(tokens)

    def images(self, images: list):
        """N x embedding, float32, of length 1, of PIL images; on the CPU."""
        import torch

        with torch.inference_mode():
            pixels = self.preprocessing.pixels([self.preprocessing.picture(image) for image in images])
            return _unit(self.pooled(pixels.to(device())) @ self.projection)

    def texts(self, texts: list[str]):
        """N x embedding, float32, of length 1; on the CPU."""
        import torch

        with torch.inference_mode():
            return _unit(self.embeddings(texts))


class OpenClipModel(ClipModel):
    def __init__(self, model, tokenizer, preprocessing: Preprocessing):
        # Without its projection the visual tower returns the pooled point; projecting ourselves gives both in one pass.
        projection, model.visual.proj = model.visual.proj, None
        self.text = getattr(model, "text", model)  # in some models a module of its own
        super().__init__(model, tokenizer, projection, model.visual.transformer.resblocks, self.text.token_embedding, preprocessing)

    def pooled(self, pixels):
        return self.model.encode_image(pixels)

    def embeddings(self, texts: list[str]):
        return self._embedded(self._tokens(texts).to(device()))

    def _tokens(self, texts: list[str]):
        return self.tokenizer(texts)

    def _ends(self, tokens):
        own = self.text is self.model
        pool, end = (self.text.text_pool_type, self.text.text_eos_id) if own else (self.text.pool_type, self.text.eos_id)
        if pool not in ("argmax", "eos"):
            raise UserError(
                f"clip.model: its text tower does not read up to the end of a text (it takes {pool!r}); prompts need one that does"
            )
        return _end(tokens, None if pool == "argmax" else end)

    def _embedded(self, tokens):
        return self.model.encode_text(tokens)


class TransformersModel(ClipModel):
    def __init__(self, model, tokenizer, preprocessing: Preprocessing):
        blocks, words = model.vision_model.encoder.layers, model.text_model.embeddings.token_embedding
        super().__init__(model, tokenizer, model.visual_projection.weight.T, blocks, words, preprocessing)

    def pooled(self, pixels):
        return self.model.vision_model(pixel_values=pixels).pooler_output

    def embeddings(self, texts: list[str]):
        return self._projected(**self._tokenized(texts, padding=True).to(device()))

    def _tokens(self, texts: list[str]):
        return self._tokenized(texts, padding="max_length").input_ids

    def _ends(self, tokens):
        end = self.model.text_model.eos_token_id
        return _end(tokens, None if end == 2 else end)  # as transformers does of models from before they said so

    def _embedded(self, tokens):
        return self._projected(input_ids=tokens)

    def _tokenized(self, texts: list[str], padding: bool | str):
        longest = self.model.config.text_config.max_position_embeddings
        return self.tokenizer(texts, padding=padding, truncation=True, max_length=longest, return_tensors="pt")

    def _projected(self, **tokens):
        return self.model.text_projection(self.model.text_model(**tokens).pooler_output)


def _end(tokens, end: int | None):
    """The first place of the token `end` in each row, or of the highest one."""
    return (tokens if end is None else (tokens == end).int()).argmax(1)


def _unit(points):
    return (points / points.norm(dim=1, keepdim=True)).float().cpu()
