"""What a worker process does before it is asked anything."""

import os
import threading
from contextlib import suppress

_importing = threading.Lock()


def dask_setup(worker: object) -> None:
    """Makes a worker ready before it is asked; called by Dask's `--preload`."""
    threading.Thread(target=_prepare, daemon=True).start()


def _prepare() -> None:
    from ndmixer import ModelSpec, kernels

    kernels.Program(ModelSpec(depth=0), batch_size=1).prepare()
    import_tensorflow()


def import_tensorflow() -> None:
    """Imports TensorFlow with as many threads as there are cores; at once the second time."""
    with _importing:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf
        from dask.system import CPU_COUNT

        with suppress(RuntimeError):  # TensorFlow computes already
            # Dask gives its workers OMP_NUM_THREADS=1, which TensorFlow would obey.
            tf.config.threading.set_intra_op_parallelism_threads(CPU_COUNT)
            tf.config.threading.set_inter_op_parallelism_threads(CPU_COUNT)
        import ndmixer.training  # noqa: F401
