"""A latent diffusion model of Stable Diffusion's kind: UNet with cross-attention, v-prediction, its own autoencoder.

Saved as a `StableDiffusionPipeline`. Loss: v-prediction with min-SNR weights (Hang et al. 2023, gamma 5).
"""

from __future__ import annotations

from pipeline.training.denoisers import DenoiserSettings
from pipeline.training.job import Job, require

Settings = DenoiserSettings

CHANNELS = (32, 64)
MIN_SNR_GAMMA = 5.0


def make(job: Job) -> dict[str, float]:
    """Train autoencoder and denoiser, measure on held-out originals, save the pipeline."""
    import numpy as np
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    from pipeline.training.autoencoders import train_autoencoder
    from pipeline.training.denoisers import TEXT_WIDTH, Average, latent_crops, make_tokenizer, text_config, tokenize
    from pipeline.training.loop import optimise

    settings = job.settings
    autoencoder, quality = train_autoencoder(job, settings.autoencoder)
    torch.manual_seed(job.seed + 1)
    tokenizer = make_tokenizer(job)
    text = CLIPTextModel(text_config(tokenizer, TEXT_WIDTH))
    channels = settings.autoencoder.latents
    unet = UNet2DConditionModel(
        sample_size=job.side // 4,
        in_channels=channels,
        out_channels=channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=CHANNELS,
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )
    crops = latent_crops(job, autoencoder, tokenizer, seen=True)
    empty = tokenize(tokenizer, [""])
    random = np.random.default_rng([job.seed, 51])
    highest = int(settings.highest_noise * scheduler.config.num_train_timesteps)

    def errors(encoder, denoiser, latents, tokens, times):
        noise = torch.randn_like(latents)
        target = scheduler.get_velocity(latents, noise, times)
        predicted = denoiser(scheduler.add_noise(latents, noise, times), times, encoder(tokens).last_hidden_state).sample
        return (predicted - target).pow(2).mean((1, 2, 3)), target.pow(2).mean((1, 2, 3))

    def loss_of(step: int) -> torch.Tensor:
        latents, tokens = crops.batch(random, settings.batch_size, empty)
        times = torch.from_numpy(random.integers(0, highest, len(latents)))
        ratio = scheduler.alphas_cumprod[times] / (1 - scheduler.alphas_cumprod[times])
        weight = ratio.clamp(max=MIN_SNR_GAMMA) / (ratio + 1)
        return (weight / weight.mean() * errors(text, unet, latents, tokens, times)[0]).mean()

    average = Average([text, unet])
    parameters = [*text.parameters(), *unet.parameters()]
    optimise(parameters, loss_of, settings.steps, settings.learning_rate, f"{job.name}: denoiser", after_step=average.update)
    text, unet = average.averages

    held_out = latent_crops(job, autoencoder, tokenizer, seen=False)
    torch.manual_seed(job.seed + 2)
    with torch.inference_mode():
        times = torch.arange(len(held_out.latents)) * highest // len(held_out.latents)
        error, baseline = errors(text, unet, held_out.latents, held_out.tokens[0], times)
    quality["denoising_gain"] = float(1 - error.mean() / baseline.mean())
    require(quality["denoising_gain"], settings.floor, f"{job.name}: share of the prediction error removed")
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(job.folder)
    return quality
