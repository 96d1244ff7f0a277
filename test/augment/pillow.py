"""Writes pillow.json: what Pillow makes of a small picture, for operations.test.ts and resample.test.ts.

    pip install pillow==13.0.0 && python pillow.py > pillow.json

Operations are called as torchvision's `_functional_pil` calls them for TrivialAugment and RandAugment. Hues come from
Python's own colorsys, with torchvision's rule for turning floating point into bytes.
"""

import base64
import colorsys
import json
import math

from PIL import Image, ImageEnhance, ImageOps

WIDTH, HEIGHT = 16, 13


def colour(x, y):
    """A gradient with grey, dark and saturated parts and a little noise; no value depends on a library."""
    noise = (x * 7919 + y * 104729) % 31
    if x < 4:
        return (noise * 4, noise * 4, noise * 4)
    return (20 + x * 13, 30 + y * 11 + noise, 200 - x * 8 + noise)


def picture(width=WIDTH, height=HEIGHT):
    image = Image.new("RGB", (width, height))
    image.putdata([colour(x, y) for y in range(height) for x in range(width)])
    return image


def hue(image, turns):
    def turned(pixel):
        h, s, v = colorsys.rgb_to_hsv(*[value / 255 for value in pixel])
        return tuple(int(value * 255.999) for value in colorsys.hsv_to_rgb((h + turns) % 1, s, v))

    result = Image.new("RGB", image.size)
    result.putdata([turned(image.getpixel((x, y))) for y in range(image.height) for x in range(image.width)])
    return result


def affine(image, matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


OPERATIONS = {
    "brightness": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "contrast": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "saturation": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    "sharpness": lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
    "hue": hue,
    "posterize": ImageOps.posterize,
    "solarize": ImageOps.solarize,
    "autocontrast": lambda image: ImageOps.autocontrast(image),
    "equalize": lambda image: ImageOps.equalize(image),
    "shear-x": lambda image, amount: affine(image, (1, amount, 0, 0, 1, 0)),
    "shear-y": lambda image, amount: affine(image, (1, 0, 0, amount, 1, 0)),
    "translate": lambda image, x, y: affine(image, (1, 0, -x, 0, 1, -y)),
    "rotate": lambda image, degrees: image.rotate(degrees, Image.Resampling.NEAREST),
}
FACTORS = [0, 0.01, 0.3, 0.7, 1, 1.27, 1.99]
AMOUNTS = [-0.99, -0.3, 0.033, 0.5]
CASES = (
    [{"name": name, "factor": factor} for name in ["brightness", "contrast", "saturation", "sharpness"] for factor in FACTORS]
    + [{"name": "hue", "turns": turns} for turns in [-0.5, -0.21, 0, 0.1, 0.25, 0.5]]
    + [{"name": "posterize", "bits": bits} for bits in range(2, 9)]
    + [{"name": "solarize", "threshold": threshold} for threshold in [0, 76.5, 128, 255]]
    + [{"name": "autocontrast"}, {"name": "equalize"}]
    + [{"name": name, "amount": amount} for name in ["shear-x", "shear-y"] for amount in AMOUNTS]
    + [{"name": "translate", "x": x, "y": y} for x, y in [(5, 0), (-3, 0), (0, 7), (0, -12), (40, 0), (-2, 3)]]
    + [{"name": "rotate", "degrees": degrees} for degrees in [-135, -90, -4.5, 0, 30, 90, 121.5, 180]]
)
CROPS = [
    (0, 0, 16, 13, 9), (3, 2, 11, 9, 14), (0, 0, 16, 13, 2), (5, 5, 1, 1, 4), (15, 0, 1, 13, 5), (0, 12, 16, 1, 5),
    (4, 1, 12, 12, 12), (1, 1, 14, 5, 11),
]


def text(image):
    return base64.b64encode(image.tobytes()).decode()


def cropped(left, top, width, height, size):
    part = picture().crop((left, top, left + width, top + height))
    return text(part.resize((size, size), Image.Resampling.BILINEAR))


# Enough pixels for the table of equalize to have steps; the one above is its border case.
large = picture(40, 40)
print(
    json.dumps(
        {
            "width": WIDTH,
            "height": HEIGHT,
            "picture": text(picture()),
            "operations": [
                {"operation": case, "result": text(OPERATIONS[case["name"]](picture(), *list(case.values())[1:]))}
                for case in CASES
            ],
            "large": {"width": 40, "height": 40, "picture": text(large), "equalize": text(ImageOps.equalize(large))},
            "crops": [
                {"part": dict(left=l, top=t, width=w, height=h), "size": s, "result": cropped(l, t, w, h, s)}
                for l, t, w, h, s in CROPS
            ],
        },
        indent=1,
    )
)
