"""OCC-CLIP: whether an image is of one generator, from a few of its images."""

from __future__ import annotations

import numpy as np

from detector.attribution.encoder import Encoder
from detector.attribution.prompts import VALUES_AT_ONCE, Learning, Problem, directions, learn_prompts
from detector.estimators.base import LogitClassifier


class OneClassPrompt(LogitClassifier):
    """A learned prompt for a frozen CLIP (Liu et al., "Which Model Generated This Image?", ECCV 2024, arXiv 2404.02697).

    Two prompts [context]["real."] and [context]["fake."] share one learned context; an image's logit is the CLIP's own
    logit scale times (f.t_fake - f.t_real), f and t of length 1. It is learned from a few images of the target (the greater
    label) and as many others, of which half are replaced in every batch by adversarial ones (see `adversarial`).

    Feature point: projected. Normalization: rows and prompts to unit length; pixels by the CLIP's own mean and deviation.
    X holds pixel values in [0, 1], N x (side * side * 3), as the encoder takes them: the adversarial step needs pixels.

    Done differently: gradients of the adversarial step are of the logit, not of the cross-entropy, which have one sign;
    unchanged images pass the frozen image tower once, not in every epoch; any CLIP in place of ViT-B/16, with its own
    preprocessing (the published one squashes images to a square) and logit scale. In the evaluation (see `few_shots`) the
    images it learns from are pairs, so that what they show tells nothing, and those it is tested on are of other originals.

    The words "real" and "fake" mean what the CLIP at hand reads in them. To one whose tokenizer has them only in pieces, and
    that never learned from captions with them, they mean nothing: there the learned context does all the work.

    Parameters
    ----------
    encoder : Encoder
        The frozen CLIP, see `detector.attribution.encoder`.
    context, epsilon, epochs, batch, learning_rate, momentum, weight_decay, names
        See `detector.attribution.prompts.Learning`; the defaults are the published ones.
    random_state : int
        Seed of the context's first values and of the batches.
    """

    class_weight = None  # as many images of either class are given

    def __init__(
        self,
        encoder: Encoder | None = None,
        context: int = 16,
        epsilon: float = 0.1,
        epochs: int = 200,
        batch: int = 10,
        learning_rate: float = 1e-4,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        names: tuple[str, str] = ("real", "fake"),
        random_state: int = 0,
    ):
        self.encoder = encoder
        self.context = context
        self.epsilon = epsilon
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.names = names
        self.random_state = random_state

    def _fit(self, X, y, weights):
        if self.encoder is None:
            raise ValueError("encoder is None; give the CLIP that embeds images and prompts")
        learning = Learning(
            self.context, self.epsilon, self.epochs, self.batch, self.learning_rate, self.momentum, self.weight_decay, self.names
        )
        unit, negative = self._unit(X), np.flatnonzero(y == 0)
        problem = Problem(unit[negative], unit[y == 1], negative, self.random_state)
        contexts = learn_prompts(self.encoder, X.astype(np.float32), [problem], learning)
        self.context_ = contexts[0]  # tokens x text width
        self.coef_ = directions(self.encoder, contexts, self.names)[0]  # embedding

    def _logit(self, X):
        return self._unit(X).astype(np.float64) @ self.coef_

    def _unit(self, X: np.ndarray) -> np.ndarray:
        """N x embedding, float32, of length 1."""
        import torch

        step = max(1, VALUES_AT_ONCE // X.shape[1])
        with torch.inference_mode():
            parts = torch.from_numpy(X.astype(np.float32)).split(step)
            embedded = torch.cat([self.encoder.images(part.to(self.encoder.device)) for part in parts])
            return torch.nn.functional.normalize(embedded, dim=1).cpu().numpy()
