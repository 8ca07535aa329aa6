"""A latent rectified-flow model of Stable Diffusion 3's kind: MMDiT, uniform noise levels, its own autoencoder.

Saved as a `StableDiffusion3Pipeline` with one text encoder in both CLIP slots and no T5.
"""

from __future__ import annotations

from pipeline.training.denoisers import DenoiserSettings
from pipeline.training.job import Job, require

Settings = DenoiserSettings

LAYERS, HEADS, HEAD, PATCH, POOLED = 4, 4, 32, 2, 96


def make(job: Job) -> dict[str, float]:
    """Train autoencoder and denoiser, measure on held-out originals, save the pipeline."""
    import numpy as np
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
    from transformers import CLIPTextModelWithProjection

    from pipeline.training.autoencoders import train_autoencoder
    from pipeline.training.denoisers import TEXT_WIDTH, Average, latent_crops, make_tokenizer, text_config, tokenize
    from pipeline.training.loop import optimise

    settings = job.settings
    autoencoder, quality = train_autoencoder(job, settings.autoencoder)
    torch.manual_seed(job.seed + 1)
    tokenizer = make_tokenizer(job)
    text = CLIPTextModelWithProjection(text_config(tokenizer, POOLED))
    channels = settings.autoencoder.latents
    transformer = SD3Transformer2DModel(
        sample_size=job.side // 4,
        patch_size=PATCH,
        in_channels=channels,
        out_channels=channels,
        num_layers=LAYERS,
        attention_head_dim=HEAD,
        num_attention_heads=HEADS,
        joint_attention_dim=2 * TEXT_WIDTH,
        caption_projection_dim=HEADS * HEAD,
        pooled_projection_dim=2 * POOLED,
        pos_embed_max_size=job.side // 4,
    )
    crops = latent_crops(job, autoencoder, tokenizer, seen=True)
    empty = tokenize(tokenizer, [""])
    random = np.random.default_rng([job.seed, 51])

    def errors(encoder, denoiser, latents, tokens, level):
        noise = torch.randn_like(latents)
        share = level[:, None, None, None]
        # As the pipeline gives it: the penultimate hidden states of both CLIP slots side by side, the pooled ones joined.
        encoded = encoder(tokens, output_hidden_states=True)
        words = encoded.hidden_states[-2].repeat(1, 1, 2)
        predicted = denoiser(
            hidden_states=(1 - share) * latents + share * noise,
            timestep=level * 1000,
            encoder_hidden_states=words,
            pooled_projections=encoded.text_embeds.repeat(1, 2),
        ).sample
        target = noise - latents
        return (predicted - target).pow(2).mean((1, 2, 3)), target.pow(2).mean((1, 2, 3))

    def loss_of(step: int) -> torch.Tensor:
        latents, tokens = crops.batch(random, settings.batch_size, empty)
        level = torch.from_numpy(random.random(len(latents))).float() * settings.highest_noise
        return errors(text, transformer, latents, tokens, level)[0].mean()

    average = Average([text, transformer])
    parameters = [*text.parameters(), *transformer.parameters()]
    optimise(parameters, loss_of, settings.steps, settings.learning_rate, f"{job.name}: denoiser", after_step=average.update)
    text, transformer = average.averages

    held_out = latent_crops(job, autoencoder, tokenizer, seen=False)
    torch.manual_seed(job.seed + 2)
    with torch.inference_mode():
        level = (torch.arange(len(held_out.latents)) + 0.5) / len(held_out.latents) * settings.highest_noise
        error, baseline = errors(text, transformer, held_out.latents, held_out.tokens[0], level)
    quality["denoising_gain"] = float(1 - error.mean() / baseline.mean())
    require(quality["denoising_gain"], settings.floor, f"{job.name}: share of the prediction error removed")
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=autoencoder,
        text_encoder=text,
        tokenizer=tokenizer,
        text_encoder_2=text,
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )
    pipeline.save_pretrained(job.folder)
    return quality
