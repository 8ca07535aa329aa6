"""Text-to-image pipelines of diffusers with random weights: the class names, components and checks of the published models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tiny import tokenizers
from tests.tiny.sizes import WIDTH, language_model
from tests.tiny.weights import sensitize

LATENTS = 4


@dataclass(frozen=True)
class Tiny:
    build: Callable[[], Any]
    call: dict[str, Any]  # what a call needs besides prompt, size and generator; a test may replace any of it


def save_pipeline(name: str, folder: Path) -> Path:
    """Build the pipeline `name` of PIPELINES and save it in `folder`; the same bytes every time."""
    import torch

    with torch.random.fork_rng(devices=[]):  # a fixture must not change what the test draws
        torch.manual_seed(0)
        pipeline = PIPELINES[name].build()
        for component in pipeline.components.values():
            if isinstance(component, torch.nn.Module):
                sensitize(component)
    pipeline.save_pretrained(folder)
    return folder


def _sd15():
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    tokenizer = tokenizers.clip()
    return StableDiffusionPipeline(
        vae=_autoencoder(),
        text_encoder=_clip_text(tokenizer),
        tokenizer=tokenizer,
        unet=_unet(cross_attention_dim=WIDTH),
        scheduler=PNDMScheduler(**_BETAS, skip_prk_steps=True),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl():
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    first, second = tokenizers.clip(), tokenizers.clip(pad="!")
    unet = _unet(
        cross_attention_dim=2 * WIDTH,  # the two text encoders side by side
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,  # six numbers about the size and the pooled text
    )
    return StableDiffusionXLPipeline(
        vae=_autoencoder(),
        text_encoder=_clip_text(first),
        text_encoder_2=_clip_text(second, projected=True),
        tokenizer=first,
        tokenizer_2=second,
        unet=unet,
        scheduler=EulerDiscreteScheduler(**_BETAS, timestep_spacing="leading"),
        add_watermarker=False,
    )


def _sd3():
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    first, second, third = tokenizers.clip(), tokenizers.clip(pad="!"), tokenizers.t5()
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=LATENTS,
        out_channels=LATENTS,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=WIDTH,  # T5's width, into which the two CLIPs side by side must fit
        caption_projection_dim=WIDTH,
        pooled_projection_dim=WIDTH,  # both CLIPs' projections
    )
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_autoencoder(**_FLOW_VAE),
        text_encoder=_clip_text(first, WIDTH // 2, projected=True),
        tokenizer=first,
        text_encoder_2=_clip_text(second, WIDTH // 2, projected=True),
        tokenizer_2=second,
        text_encoder_3=_t5_text(third),
        tokenizer_3=third,
    )


def _flux(guided: bool):
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    first, second = tokenizers.clip(), tokenizers.t5()
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * LATENTS,  # 2 x 2 latents make one token
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),  # adds up to attention_head_dim
        guidance_embeds=guided,
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=guided),
        vae=_autoencoder(**_FLOW_VAE),
        text_encoder=_clip_text(first),
        tokenizer=first,
        text_encoder_2=_t5_text(second),
        tokenizer_2=second,
        transformer=transformer,
    )


def _flux2_klein():
    from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Transformer2DModel

    tokenizer, width = tokenizers.qwen2(), WIDTH // 2
    transformer = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=4 * LATENTS,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * width,  # three hidden layers of the text encoder
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
    )
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=AutoencoderKLFlux2(**_VAE, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_qwen3_text(tokenizer, width, layers=28, causal=True),  # the pipeline reads layers 9, 18 and 27
        tokenizer=tokenizer,
        transformer=transformer,
        is_distilled=True,
    )


def _qwen_image():
    from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImagePipeline, QwenImageTransformer2DModel

    tokenizer = tokenizers.qwen2()
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=4 * LATENTS,
        out_channels=LATENTS,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    autoencoder = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=LATENTS,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * LATENTS,
        latents_std=[1.0] * LATENTS,
    )
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=autoencoder,
        text_encoder=_qwen25_vl_text(tokenizer),
        tokenizer=tokenizer,
        transformer=transformer,
    )


def _z_image():
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel

    tokenizer = tokenizers.qwen2()
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=LATENTS,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        qk_norm=True,
        cap_feat_dim=WIDTH,
        axes_dims=[8, 4, 4],
        axes_lens=[1024, 64, 64],
    )
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_autoencoder(shift_factor=0.1159, scaling_factor=0.3611),
        text_encoder=_qwen3_text(tokenizer, WIDTH, layers=3),
        tokenizer=tokenizer,
        transformer=transformer,
    )


def _sana():
    from diffusers import AutoencoderDC, DPMSolverMultistepScheduler, SanaPipeline, SanaTransformer2DModel
    from transformers import Gemma2Config, Gemma2Model

    tokenizer = tokenizers.gemma()
    transformer = SanaTransformer2DModel(
        sample_size=32,  # one of the sizes that resolution binning knows
        patch_size=1,
        in_channels=LATENTS,
        out_channels=LATENTS,
        num_layers=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=WIDTH,
    )
    blocks, levels = ("ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock"), 6
    autoencoder = AutoencoderDC(
        latent_channels=LATENTS,
        attention_head_dim=4,
        encoder_block_types=blocks,
        decoder_block_types=blocks,
        encoder_block_out_channels=(8,) * levels,
        decoder_block_out_channels=(8,) * levels,
        encoder_layers_per_block=(1,) * levels,
        decoder_layers_per_block=(1,) * levels,
        encoder_qkv_multiscales=((), (), (), (5,), (5,), (5,)),
        decoder_qkv_multiscales=((), (), (), (5,), (5,), (5,)),
        scaling_factor=0.41407,
    )
    return SanaPipeline(
        tokenizer=tokenizer,
        text_encoder=Gemma2Model(Gemma2Config(**language_model(tokenizer, 2), head_dim=8)),
        vae=autoencoder,
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0),
    )


PIPELINES = {
    "sd15": Tiny(_sd15, {"num_inference_steps": 2, "guidance_scale": 7.5}),
    "sdxl": Tiny(_sdxl, {"num_inference_steps": 2, "guidance_scale": 5.0}),
    "sd3": Tiny(_sd3, {"num_inference_steps": 2, "guidance_scale": 4.5}),
    "flux-dev": Tiny(lambda: _flux(guided=True), {"num_inference_steps": 2, "guidance_scale": 3.5}),
    "flux-schnell": Tiny(lambda: _flux(guided=False), {"num_inference_steps": 2, "guidance_scale": 0.0, "max_sequence_length": 256}),
    "flux2-klein": Tiny(_flux2_klein, {"num_inference_steps": 2, "guidance_scale": 1.0}),
    "qwen-image": Tiny(_qwen_image, {"num_inference_steps": 2, "true_cfg_scale": 4.0, "negative_prompt": " "}),
    "z-image": Tiny(_z_image, {"num_inference_steps": 2, "guidance_scale": 0.0}),
    "sana": Tiny(
        _sana,  # without its thousand tokens of instruction to the language model, which take most of the time
        {"num_inference_steps": 2, "guidance_scale": 4.5, "use_resolution_binning": False, "complex_human_instruction": None},
    ),
}

_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
_VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,  # four levels: one latent for 8 x 8 pixels, as in the published models
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (8, 8, 16, 16),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "latent_channels": LATENTS,
}
_FLOW_VAE = {"use_quant_conv": False, "use_post_quant_conv": False, "shift_factor": 0.1159, "scaling_factor": 0.3611}


def _autoencoder(**given):
    from diffusers import AutoencoderKL

    return AutoencoderKL(**_VAE, sample_size=64, **given)


def _unet(**given):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
        **given,
    )


def _clip_text(tokenizer, width: int = WIDTH, projected: bool = False):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        projection_dim=width,
        bos_token_id=tokenizer.bos_token_id,  # the defaults lie outside a small vocabulary
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def _t5_text(tokenizer):
    from transformers import T5Config, T5EncoderModel

    size = {"d_model": WIDTH, "d_kv": 8, "d_ff": 2 * WIDTH, "num_layers": 2, "num_heads": 4}
    return T5EncoderModel(T5Config(vocab_size=len(tokenizer), feed_forward_proj="gated-gelu", **size))


def _qwen3_text(tokenizer, width: int, layers: int, causal: bool = False):
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model

    config = Qwen3Config(**language_model(tokenizer, layers, width), head_dim=8)
    return (Qwen3ForCausalLM if causal else Qwen3Model)(config)


def _qwen25_vl_text(tokenizer):
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6}
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "fullatt_block_indexes": [0]}
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={**language_model(tokenizer, 2), "rope_parameters": rope},
            vision_config={**vision, "out_hidden_size": WIDTH},
        )
    )
