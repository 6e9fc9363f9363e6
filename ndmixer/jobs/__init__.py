"""The engine: where training and inspection run, in processes of their own.

`NDMIXER_SCHEDULER=tcp://...` trains on a cluster that exists already, and so does a
`distributed.Client` that the caller made. Its workers need this package, the same runs
folder under the same path, and one thread each
(`dask worker --nthreads 1 --preload ndmixer.jobs`).

A run is trained once, and once more for each wish to continue it: a task that finds its
run begun, and no such wish, leaves it alone. So a task may be submitted again whenever its
fate is not known.
"""

from ndmixer.jobs.control import continue_run as continue_run
from ndmixer.jobs.control import pause as pause
from ndmixer.jobs.control import resume as resume
from ndmixer.jobs.control import set_learning_rate as set_learning_rate
from ndmixer.jobs.control import status as status
from ndmixer.jobs.control import step as step
from ndmixer.jobs.control import stop as stop
from ndmixer.jobs.control import submit as submit
from ndmixer.jobs.depth import moments as moments
from ndmixer.jobs.depth import stage_accuracy as stage_accuracy
from ndmixer.jobs.depth import stage_similarity as stage_similarity
from ndmixer.jobs.embedding import MAP_IMAGES as MAP_IMAGES
from ndmixer.jobs.embedding import image_map as image_map
from ndmixer.jobs.engine import close_engine as close_engine
from ndmixer.jobs.engine import engine_state as engine_state
from ndmixer.jobs.engine import start_engine as start_engine
from ndmixer.jobs.inspecting import Part as Part
from ndmixer.jobs.inspecting import class_geometry as class_geometry
from ndmixer.jobs.inspecting import keras_file as keras_file
from ndmixer.jobs.inspecting import pictures as pictures
from ndmixer.jobs.inspecting import probes_of as probes_of
from ndmixer.jobs.inspecting import thumbnails as thumbnails
from ndmixer.jobs.inspecting import untrained as untrained
from ndmixer.jobs.looking import OneImage as OneImage
from ndmixer.jobs.looking import labels_of as labels_of
from ndmixer.jobs.looking import one_image as one_image
from ndmixer.jobs.looking import outputs_of as outputs_of
from ndmixer.jobs.operating import kernels as kernels
from ndmixer.jobs.operating import surgery as surgery
from ndmixer.jobs.reconstructing import decoded_averages as decoded_averages
from ndmixer.jobs.reconstructing import reconstructions as reconstructions
from ndmixer.jobs.reconstructing import walk as walk
from ndmixer.jobs.training_task import train_run as train_run
from ndmixer.jobs.worker import dask_setup as dask_setup

__all__ = [
    "MAP_IMAGES",
    "OneImage",
    "Part",
    "class_geometry",
    "close_engine",
    "continue_run",
    "dask_setup",
    "decoded_averages",
    "engine_state",
    "image_map",
    "keras_file",
    "kernels",
    "labels_of",
    "moments",
    "one_image",
    "outputs_of",
    "pause",
    "pictures",
    "probes_of",
    "reconstructions",
    "resume",
    "set_learning_rate",
    "stage_accuracy",
    "stage_similarity",
    "start_engine",
    "status",
    "step",
    "stop",
    "submit",
    "surgery",
    "thumbnails",
    "train_run",
    "untrained",
    "walk",
]
