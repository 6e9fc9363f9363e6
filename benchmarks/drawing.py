"""Whether a drawing reaches the model as MNIST would: test images played through the pad.

    python benchmarks/drawing.py

Trains the first classifier for one epoch, enlarges test images to the size of the pad, smoothly
as a pen would draw them, prepares them as drawings are, and counts the predictions that change.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from ndmixer import PRESETS, TrainSpec, load_dataset, train
from ndmixer.app.pad import SIDE
from ndmixer.digits import SIZE, like_mnist
from ndmixer.representations import representations

RESULTS = Path(__file__).parent / "results" / "drawing.json"


def drawn(image: np.ndarray, soft: bool) -> np.ndarray:
    """An image at the size of the pad: cubic, or with edges as sharp as those of a pen."""
    from scipy.ndimage import zoom

    large = zoom(image, SIDE / SIZE, order=3, mode="nearest", grid_mode=True)
    return np.clip(large if soft else 3 * (large - 0.5) + 0.5, 0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000)
    count = parser.parse_args().images
    spec, data = PRESETS["classifier"].model, load_dataset("mnist")
    model = train(spec, TrainSpec(epochs=1), data)
    weights = {variable.path: variable.numpy() for variable in model.weights}
    x, y = data.x_test[:count], data.y_test[:count]

    def named(images: np.ndarray) -> np.ndarray:
        return representations(spec, weights, images, ("logits",))["logits"].argmax(axis=1)

    plain = named(x)
    rows = {"as they are": {"accuracy": float(np.mean(plain == y))}}
    for name, soft in (("smooth", True), ("pen", False)):
        found = named(np.stack([like_mnist(drawn(image, soft)) for image in x]))
        rows[name] = {
            "accuracy": float(np.mean(found == y)),
            "changed of the first 100": int(np.count_nonzero((found != plain)[:100])),
            "changed": int(np.count_nonzero(found != plain)),
        }
    found = {"images": count, "epochs": 1, "drawings": rows}
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
