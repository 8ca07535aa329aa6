"""How many prompts are longer than a generator's text encoders read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.diffusion.classes import call_arguments, components, index_of


def truncated(folder: Path, cls: type, call: dict, prompts: Iterable[str]) -> dict[str, int]:
    """{tokenizer: prompts it would cut}, counting the tokens of the prompt itself, without any template around it.

    CLIP tokenizers end at their own length; of others a pipeline reads `max_sequence_length` tokens.
    """
    from transformers import AutoTokenizer

    prompts = list(prompts)
    default = call_arguments(cls).get("max_sequence_length")
    asked = call.get("max_sequence_length", default.default if default else None)
    counts = {}
    for name, (_, tokenizer_class) in components(index_of(folder)).items():
        if not name.startswith("tokenizer"):
            continue
        tokenizer = AutoTokenizer.from_pretrained(folder / name, local_files_only=True, trust_remote_code=False)
        limit = tokenizer.model_max_length
        if asked is not None and not tokenizer_class.startswith("CLIP"):
            limit = min(limit, asked)
        lengths = (len(ids) for ids in tokenizer(prompts)["input_ids"]) if prompts else ()
        counts[name] = sum(length > limit for length in lengths)
    return counts
