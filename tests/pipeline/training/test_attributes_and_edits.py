import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.attributes import ATTRIBUTES, NAMES, antonym_prompts, canonical_caption, measure, spoken_labels, varied_caption
from pipeline.training.edits import blur, edit
from tests.conftest import textured

LABELS = st.lists(st.sampled_from([-1, 0, 1]), min_size=len(ATTRIBUTES), max_size=len(ATTRIBUTES))


@given(LABELS)
def test_what_a_canonical_caption_says_can_be_read_back(labels):
    caption = canonical_caption("a cat", labels)
    assert caption.startswith("a photo of a cat") and spoken_labels(caption) == labels


@given(LABELS, st.integers(0, 99))
def test_a_varied_caption_says_nothing_false(labels, seed):
    said = spoken_labels(varied_caption("a cat", labels, np.random.default_rng(seed)))
    assert all(s in (0, label) for s, label in zip(said, labels, strict=True))


def test_tone_is_measured_from_the_picture():
    def image(r, g, b):
        return torch.tensor([r, g, b]).view(1, 3, 1, 1).expand(1, 3, 16, 16)

    label = dict(zip(NAMES, measure(image(0.9, 0.8, 0.7))[0].tolist(), strict=False))
    assert label["exposure"] == 1 and label["temperature"] == 1 and label["contrast"] == -1 and label["detail"] == -1
    assert measure(image(0.1, 0.1, 0.1))[0, 0] == -1
    assert measure(image(0.2, 0.4, 0.9))[0, 3] == -1


def test_edits_follow_the_seed_and_their_labels_are_true():
    images = torch.stack([torch.from_numpy(np.asarray(textured(s, 64, 64)).copy()).permute(2, 0, 1) for s in range(64)])
    edited, labels = edit(images, torch.Generator().manual_seed(1))
    again, _ = edit(images, torch.Generator().manual_seed(1))
    assert torch.equal(edited, again) and edited.min() >= 0 and edited.max() <= 1
    noise = labels[:, NAMES.index("noise")]
    rough = (edited - blur(edited, torch.ones(64))).abs().mean((1, 2, 3))
    assert rough[noise > 0].mean() > rough[noise <= 0].mean()
    assert set(labels.unique().tolist()) == {-1.0, 0.0, 1.0}


def test_antonym_prompts_come_in_pairs_low_then_high():
    prompts = antonym_prompts()
    assert len(prompts) == 2 * len(ATTRIBUTES)
    assert prompts[0].endswith(ATTRIBUTES[0].low[0]) and prompts[1].endswith(ATTRIBUTES[0].high[0])
