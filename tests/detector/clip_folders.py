"""CLIPs with random weights, in both formats or in one."""

import shutil

OPEN_CLIP = ("open_clip_config.json", "open_clip_model.safetensors")
TRANSFORMERS = ("config.json", "model.safetensors", "processor_config.json")


def save(folder, activation: str):
    """A CLIP with random weights in both formats, with all that is not a multiple of anything else."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    from pipeline.training.attributes import corpus
    from pipeline.training.clip_formats import save_both_formats
    from pipeline.training.tokenizers import clip_tokenizer

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(corpus(["a cat"]), 48)
    tower = {"num_hidden_layers": 2, "hidden_act": activation, "num_attention_heads": 3}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    text = {**tower, "hidden_size": 48, "intermediate_size": 96, "vocab_size": len(tokenizer), "max_position_embeddings": 48, **ends}
    vision = {**tower, "hidden_size": 96, "intermediate_size": 192, "image_size": 64, "patch_size": 16}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=40))
    with torch.no_grad():
        for parameter in model.parameters():  # a fresh initialisation is so small that differences would hide
            parameter.mul_(3) if parameter.ndim > 1 else parameter.add_(0.05 * torch.randn_like(parameter))
    save_both_formats(model.eval(), tokenizer, folder, mean=0.4, deviation=0.28)
    return folder


def without(source, folder, names):
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*names))
    return folder
