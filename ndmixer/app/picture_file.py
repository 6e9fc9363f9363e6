"""A picture from a file as an image of a data set."""

import io

import numpy as np

from ndmixer.digits import ink_of_photo, like_mnist

FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 40_000_000
SHRUNK = 600  # pixels each way at most; what a digit needs, and no more work than that


def takes_pictures(sample_shape: tuple[int, ...]) -> bool:
    """Whether the images of a data set are grey or coloured pictures."""
    return len(sample_shape) == 2 or (len(sample_shape) == 3 and sample_shape[-1] in (1, 3))


def sample_from_file(content: bytes, sample_shape: tuple[int, ...], digit: bool) -> np.ndarray:
    """Reads a PNG or JPEG.

    A picture of just the right size is taken as it is. A digit is prepared as MNIST was;
    anything else is cut to the right proportions and made smaller.

    Args:
        content: Of the file.
        sample_shape: Rows, columns and perhaps channels of an image, see `takes_pictures`.
        digit: Whether it shows one digit.

    Returns:
        Shape `sample_shape`, float32, from 0 to 1.

    Raises:
        ValueError: it is no such file, too large, or shows nothing.
    """
    from PIL import Image, ImageOps

    height, width = sample_shape[:2]
    colour = sample_shape[2:] == (3,)
    try:
        picture: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        if picture.width * picture.height > MOST_PIXELS:
            raise ValueError(
                f"the picture is too large; at most {MOST_PIXELS // 10**6} million pixels. "
                f"Received: {picture.width} × {picture.height}"
            )
        picture = ImageOps.exif_transpose(picture)
        if picture.mode == "P" or "transparency" in picture.info:
            picture = picture.convert("RGBA")
        if picture.mode in ("RGBA", "LA"):
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        exact = picture.size == (width, height)
        picture = picture.convert("RGB" if colour else "L")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"this is no readable PNG or JPEG; save the picture anew. Received: {error}"
        ) from error
    if not exact and digit and not colour:
        picture.thumbnail((SHRUNK, SHRUNK), Image.Resampling.BOX)
        return like_mnist(ink_of_photo(np.asarray(picture))).reshape(sample_shape)
    if not exact:
        picture = ImageOps.fit(picture, (width, height), Image.Resampling.BOX)
    return (np.asarray(picture, np.float32) / 255).reshape(sample_shape)
