"""Captioners of transformers with random weights that say letters: chat models, models that continue a text, one with task tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tiny import tokenizers
from tests.tiny.sizes import WIDTH, language_model
from tests.tiny.weights import sensitize


@dataclass(frozen=True)
class Tiny:
    build: Callable[[], tuple[Any, Any]]  # model and processor
    prompt: str  # what a model of this kind is asked with
    needs: tuple[str, ...] = ()  # packages without which its processor does not load


def save_captioner(name: str, folder: Path) -> Path:
    """Build the captioner `name` of CAPTIONERS and save model and processor in `folder`; the same bytes every time."""
    import torch

    with torch.random.fork_rng(devices=[]):  # a fixture must not change what the test draws
        torch.manual_seed(0)
        model, processor = CAPTIONERS[name].build()
        sensitize(model)
    model.generation_config.suppress_tokens = tokenizers.speechless(processor.tokenizer)
    model.generation_config.min_new_tokens = 4  # or a first token that happens to be the end makes an empty caption
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _qwen3_vl():
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer = tokenizers.qwen2(tokenizers.PICTURE_CHAT)
    patches = {"patch_size": 16, "temporal_patch_size": 2}
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True, "rope_theta": 1e6}
    config = Qwen3VLConfig(
        text_config={**language_model(tokenizer, layers=3), "head_dim": 8, "rope_parameters": rope},
        vision_config={
            **patches,
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "spatial_merge_size": 2,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    )
    processor = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches, merge_size=2, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64}),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**patches, merge_size=2),
        chat_template=tokenizers.PICTURE_CHAT,
    )
    return Qwen3VLForConditionalGeneration(config), processor


def _gemma3():
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3ImageProcessor, Gemma3Processor

    tokenizer = tokenizers.gemma_with_pictures()
    layers = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]}
    config = Gemma3Config(
        text_config={**language_model(tokenizer, layers=2), **layers},
        vision_config=_vision(64),
        mm_tokens_per_image=4,
        image_token_index=tokenizer.image_token_id,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        tie_word_embeddings=False,
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size={"height": 64, "width": 64}), tokenizer, chat_template=tokenizers.GEMMA_CHAT, image_seq_length=4
    )
    return Gemma3ForConditionalGeneration(config), processor


def _smolvlm():
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )
    from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

    tokenizer = tokenizers.smol_with_tiles()
    config = SmolVLMConfig(
        text_config={"model_type": "llama", **language_model(tokenizer, layers=2)},
        vision_config={**_vision(32), "patch_size": 8},
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    pictures = SmolVLMImageProcessor(size={"longest_edge": 32}, max_image_size={"longest_edge": 32}, do_image_splitting=False)
    processor = SmolVLMProcessor(pictures, tokenizer, SmolVLMVideoProcessor(), image_seq_len=4, chat_template=DEFAULT_CHAT_TEMPLATE)
    return SmolVLMForConditionalGeneration(config), processor


def _blip():
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    tokenizer = tokenizers.bert()
    decoder = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "encoder_hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "projection_dim": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "bos_token_id": tokenizer.convert_tokens_to_ids("[DEC]"),
        "eos_token_id": tokenizer.sep_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "is_decoder": True,
    }
    config = BlipConfig(text_config=decoder, vision_config=_vision(32), projection_dim=16, image_text_hidden_size=16)
    return BlipForConditionalGeneration(config), BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer)


def _blip2():
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, BlipImageProcessor

    tokenizer, queries = tokenizers.gpt2_letters(), 4
    processor = Blip2Processor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer, num_query_tokens=queries)
    text = {"model_type": "opt", **language_model(tokenizer, layers=2), "ffn_dim": 2 * WIDTH, "word_embed_proj_dim": WIDTH}
    config = Blip2Config(
        text_config={**text, "vocab_size": len(processor.tokenizer)},  # the processor has added <image>
        vision_config=_vision(32),
        qformer_config={
            "hidden_size": WIDTH,
            "encoder_hidden_size": WIDTH,
            "intermediate_size": 2 * WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        },
        num_query_tokens=queries,
        image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"),
    )
    return Blip2ForConditionalGeneration(config), processor


def _florence2():
    from transformers import BartConfig, CLIPImageProcessor, Florence2Config, Florence2ForConditionalGeneration, Florence2Processor

    tokenizer = tokenizers.bart_with_locations()
    special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    text = BartConfig(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=2 * WIDTH,
        decoder_ffn_dim=2 * WIDTH,
        max_position_embeddings=512,
        decoder_start_token_id=2,
        forced_eos_token_id=2,
        tie_word_embeddings=False,
        **special,
    )
    stages = {"embed_dim": [8, 8, 16, 16], "depths": [1] * 4, "num_heads": [2] * 4, "num_groups": [2] * 4, "window_size": 4}
    config = Florence2Config(
        text_config=text,
        vision_config={**stages, "projection_dim": WIDTH, "max_temporal_embeddings": 10, "max_position_embeddings": 10},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=False,
        **special,
    )
    pictures = CLIPImageProcessor(size={"height": 64, "width": 64}, do_center_crop=False)
    pictures.image_seq_length = 5  # 2 x 2 positions after the four stages, and their mean
    return Florence2ForConditionalGeneration(config), Florence2Processor(pictures, tokenizer, num_additional_image_tokens=1)


_CONTINUED, _ASKED = "a photo of", "Describe the photo."
CAPTIONERS = {
    "qwen3-vl": Tiny(_qwen3_vl, _ASKED),
    "gemma3": Tiny(_gemma3, _ASKED),
    "smolvlm": Tiny(_smolvlm, _ASKED, needs=("num2words",)),
    "blip": Tiny(_blip, _CONTINUED),
    "blip2": Tiny(_blip2, _CONTINUED),
    "florence2": Tiny(_florence2, "<MORE_DETAILED_CAPTION>"),
}


def _vision(size: int) -> dict[str, int]:
    layers = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4}
    return {**layers, "image_size": size, "patch_size": 16}
