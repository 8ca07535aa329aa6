"""What is trained on the features, as params.yaml states it: the detectors, their evaluation, their rivals, attribution."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipeline.schema import Strict


class Head(Strict):
    """Arguments of a detector; what is left out keeps the estimator's default, or what the preset says."""

    preset: Literal["paper"] | None = Field(default=None, description="the paper's hyper-parameters in place of the defaults")


class Linear(Head):
    C: float = Field(default=0.1, gt=0, description="inverse strength of the L2 penalty")


class Orthogonal(Head):
    projections: int = Field(default=8, ge=1, le=4096)
    decorrelation: float = Field(default=0.33, ge=0, description="weight of the orthogonality term")
    C: float = Field(default=0.1, gt=0)
    max_iter: int = Field(default=100, ge=1, le=10_000)


class Concept(Head):
    kl: float | None = Field(default=None, ge=0, description="weight of the term that closes gates")
    prior: float = Field(default=0.01, gt=0, lt=1, description="gate probability it pulls towards")
    gate_penalty: float = Field(default=0.1, ge=0, description="what it costs gates to differ between images")
    closed: float = Field(default=0.5, ge=0, lt=1, description="gates below it are closed in the verdict")
    refit: float | None = Field(default=0.01, gt=0, description="C of the verdict refitted on the closed gates; null: not refitted")
    max_steps: int = Field(default=200, ge=1, le=1_000_000)


class Detectors(Strict):
    """What is trained on the features: the arguments of the three detectors."""

    folds: int | None = Field(ge=3, le=100, description="out-of-fold parts, by group; null: the dataset's own splits")
    unsure: float = Field(gt=0, lt=0.5, description="share of errors that a firm verdict may make in each class, on validation")
    linear: Linear
    orthogonal: Orthogonal
    concept: Concept


class Evaluation(Strict):
    bootstrap: int = Field(ge=100, le=100_000, description="draws of the bootstrap over groups")
    headline: Literal["linear", "orthogonal", "concept"]
    projections: list[Annotated[int, Field(ge=1, le=4096)]] = Field(
        description="numbers of projections to try the orthogonal detector with"
    )
    new_pairs: list[Annotated[int, Field(ge=0)]] = Field(description="numbers of a new generator's pairs a detector is retrained with")
    choices: int = Field(ge=1, le=100, description="how often those pairs are chosen anew")


class ClipDet(Strict):
    """Cozzolino et al. 2024: a linear SVM on N pairs."""

    C: float = Field(gt=0, description="inverse strength of the SVM's L2 penalty")
    pairs: list[Annotated[int, Field(ge=2)]] = Field(
        min_length=1, description="numbers of training pairs; those beyond what there is are left out"
    )
    draws: int = Field(ge=1, le=1000, description="how often so many pairs are drawn anew")


class UnivFD(Strict):
    """Ojha et al. 2023: a linear probe, and nearest neighbours."""

    C: float = Field(gt=0, description="inverse strength of the probe's L2 penalty")
    neighbours: list[Annotated[int, Field(ge=1, le=999)]] = Field(min_length=1, description="odd numbers of neighbours that vote")

    @field_validator("neighbours")
    @classmethod
    def _odd(cls, neighbours: list[int]) -> list[int]:
        if even := [k for k in neighbours if k % 2 == 0]:
            raise ValueError(f"{even[0]} neighbours can vote half and half; give odd numbers")
        return neighbours


class RobustMLP(Strict):
    """Santosh et al. 2024: an MLP on image and caption, trained by CVaR and AUC losses under SAM."""

    epochs: int = Field(ge=1, le=10_000)
    batch: int = Field(ge=8, le=100_000)
    learning_rate: float = Field(gt=0)
    cvar: float = Field(gt=0, le=1, description="share of the worst losses that count")
    gamma: float = Field(ge=0, le=1, description="weight of the CVaR loss; the AUC loss has the rest")
    rho: float = Field(ge=0, description="how far SAM looks; 0: plain AdamW")
    left_out: bool = Field(description="whether it is also fitted without each generator in turn, and tested on that one")


class Rivals(Strict):
    """Published detectors on the same features, beside the paper's."""

    clipdet: ClipDet
    univfd: UnivFD
    robust_mlp: RobustMLP


class Powers(Strict):
    """`count` values, evenly spaced on a logarithmic scale, from 10^low to 10^high."""

    low: float = Field(ge=-12, le=12)
    high: float = Field(ge=-12, le=12)
    count: int = Field(ge=1, le=1000)

    @property
    def values(self) -> list[float]:
        step = (self.high - self.low) / max(self.count - 1, 1)
        return [10.0 ** (self.low + step * place) for place in range(self.count)]


class Origin(Strict):
    """Cioni et al. 2024: open-set attribution from the CLS token of every transformer block."""

    divisions: int = Field(ge=1, le=100, description="how often the generators are divided anew into known and unknown ones")
    unknown: int = Field(ge=1, le=100, description="generators tested as unknown in each division; one more is unknown in validation")
    C: Powers = Field(description="inverse strengths of the L2 penalty that are tried, as powers of ten")
    neighbours: list[Annotated[int, Field(ge=1, le=999)]] = Field(min_length=1, description="numbers of neighbours that are tried")


class OccClip(Strict):
    """Liu et al. 2024: one generator, or not, from a few of its images, by a learned prompt."""

    shots: int = Field(ge=2, le=10_000, description="images of the generator, and as many photographs, to learn from")
    draws: int = Field(ge=1, le=100, description="how often these are drawn anew, in each part of the evaluation")
    epochs: int = Field(ge=2, le=10_000)
    batch: int = Field(ge=2, le=10_000)
    learning_rate: float = Field(gt=0)
    context: int = Field(ge=1, le=64, description="learned tokens of the prompt")
    epsilon: float = Field(ge=0, le=1, description="how far the adversarial step goes, in pixel values from 0 to 1")


class Attribution(Strict):
    """Which generator made an image, or none that is known."""

    origin: Origin
    occ_clip: OccClip
