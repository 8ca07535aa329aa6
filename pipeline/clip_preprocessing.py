"""What happens to an image before a CLIP sees it: one implementation for weights of either library, and for published heads.

An image is resized by its shorter side (or not at all), cropped at the centre and normalised, by Pillow and with the
rounding of torchvision, to the bit what open_clip's own transform makes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image, ImageOps
from pydantic import Field, ValidationError

from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.schema import Strict

OPENAI_MEAN, OPENAI_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
"""What both libraries take where a configuration says nothing."""
RESAMPLING = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, by which transformers names them."""

Side = Annotated[int, Field(ge=1, le=8192)]


class Preprocessing(Strict):
    """`resize` (shorter side, null for none) and `crop` in pixels; `mean` and `std` of values in [0, 1], by channel.

    `offset`: whether a crop that cannot be quite central begins at the rounded half of what is left over, as in torchvision,
    or at the half rounded down, as in transformers.
    """

    resize: Side | None
    interpolation: Literal["bicubic", "bilinear"]
    crop: Side
    offset: Literal["round", "floor"] = "round"
    mean: list[float] = Field(min_length=3, max_length=3)
    std: list[Annotated[float, Field(gt=0)]] = Field(min_length=3, max_length=3)

    def picture(self, image: Image.Image) -> np.ndarray:
        """An RGB image as the uint8 array crop x crop x 3 that the CLIP sees; what the crop lacks is black."""
        if self.resize:
            image = image.resize(_resized(image.width, image.height, self.resize), Image.Resampling[self.interpolation.upper()])
        across, down = max(self.crop - image.width, 0), max(self.crop - image.height, 0)
        if across or down:
            image = ImageOps.expand(image, (across // 2, down // 2, (across + 1) // 2, (down + 1) // 2))
        whole = round if self.offset == "round" else math.floor
        left, top = whole((image.width - self.crop) / 2), whole((image.height - self.crop) / 2)
        return np.array(image.crop((left, top, left + self.crop, top + self.crop)))

    def pixels(self, pictures: list[np.ndarray]):
        """Pictures as the float32 tensor N x 3 x crop x crop that goes into the model; on the CPU."""
        import torch

        values = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(255)
        mean, std = (torch.tensor(numbers, dtype=torch.float32).view(1, 3, 1, 1) for numbers in (self.mean, self.std))
        return values.sub_(mean).div_(std)


def read_config(path: Path) -> dict[str, Any]:
    """A model's configuration. Raises UserError where the file is no JSON mapping."""
    try:
        stated = read_json(path)
    except UserError:
        stated = None
    if not isinstance(stated, dict):
        raise UserError(f"{path} is no configuration of a model (not a JSON mapping); put the published one there")
    return stated


def preprocessing(stated: dict, where: str) -> Preprocessing:
    """Checked preprocessing. Raises UserError with the first fault of what `where` states."""
    try:
        return Preprocessing.model_validate(stated)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise UserError(f"{where}: preprocessing.{key}: {fault['msg'][0].lower()}{fault['msg'][1:]} (got {fault['input']!r})") from None


def of_open_clip(config: Path) -> Preprocessing:
    """What an open_clip_config.json states, with open_clip's defaults. Raises UserError for what is not a shortest-side resize."""
    stated = read_config(config)
    asked = {key: value for key, value in stated.get("preprocess_cfg", {}).items() if value is not None}
    side = stated.get("model_cfg", {}).get("vision_cfg", {}).get("image_size", 224)
    mode = asked.get("resize_mode", "shortest")
    if mode != "shortest":
        raise UserError(f"{config}: resize_mode {mode!r} is not supported; use a CLIP that resizes by the shortest side")
    if isinstance(side, list):
        side = _square(side, config)
    interpolation = asked.get("interpolation", "bicubic")
    found = {
        "resize": side,
        "interpolation": "bicubic" if interpolation == "random" else interpolation,  # as open_clip does outside training
        "crop": side,
        "mean": asked.get("mean", OPENAI_MEAN),
        "std": asked.get("std", OPENAI_STD),
    }
    return preprocessing(found, str(config))


def of_transformers(folder: Path) -> Preprocessing:
    """What a transformers folder's image processor states, with `CLIPImageProcessor`'s defaults.

    Raises UserError where there is none, or where it does anything else than resize by the shortest side, crop and normalise.
    """
    config, stated = _image_processor(folder)
    if stated.get("do_center_crop", True) is False:
        raise UserError(f"{config}: images are not cropped to a square; use a CLIP whose do_center_crop is true")
    if stated.get("do_rescale", True) is False or abs(stated.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        raise UserError(f"{config}: pixels are not rescaled by 1/255; use a CLIP whose rescale_factor is 1/255")
    if stated.get("resample", 3) not in RESAMPLING:
        raise UserError(
            f"{config}: resample {stated['resample']!r} is not supported; use a CLIP that resamples with 2 or 3 (bilinear, bicubic)"
        )
    crop = stated.get("crop_size", 224)
    normalised = stated.get("do_normalize", True)
    found = {
        "resize": _shortest(stated.get("size", 224), config) if stated.get("do_resize", True) else None,
        "interpolation": RESAMPLING[stated.get("resample", 3)],
        "offset": "floor",
        "crop": _square([crop["height"], crop["width"]], config) if isinstance(crop, dict) else crop,
        "mean": stated.get("image_mean", OPENAI_MEAN) if normalised else [0.0] * 3,
        "std": stated.get("image_std", OPENAI_STD) if normalised else [1.0] * 3,
    }
    return preprocessing(found, str(config))


def _image_processor(folder: Path) -> tuple[Path, dict[str, Any]]:
    for name in ("processor_config.json", "preprocessor_config.json"):  # the newer of transformers' names first
        if (folder / name).is_file():
            stated = read_config(folder / name)
            stated = stated.get("image_processor", stated)
            if "image_mean" in stated or "size" in stated:
                return folder / name, stated
    raise UserError(f"{folder} has no preprocessor_config.json; put the one of the published model there")


def _shortest(size: Any, config: Path) -> int:
    if isinstance(size, dict):
        if set(size) != {"shortest_edge"}:
            raise UserError(f"{config}: size {size} is no shortest edge; use a CLIP that resizes by the shortest side")
        return size["shortest_edge"]
    return size


def _square(size: list, config: Path) -> int:
    if len(set(size)) != 1:
        raise UserError(f"{config}: the image size {size} is no square; use a CLIP that sees squares")
    return size[0]


def _resized(width: int, height: int, shorter: int) -> tuple[int, int]:
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter
