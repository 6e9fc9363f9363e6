"""A model at work as compiled code for the cores of this machine, without TensorFlow."""

from ndmixer.kernels.program import Program as Program
from ndmixer.kernels.program import State as State
from ndmixer.kernels.program import Totals as Totals
from ndmixer.kernels.program import join as join
from ndmixer.kernels.program import look as look
from ndmixer.kernels.program import split as split
from ndmixer.kernels.step import BETA_1 as BETA_1
from ndmixer.kernels.step import BETA_2 as BETA_2
from ndmixer.kernels.step import EPSILON as EPSILON

__all__ = ["BETA_1", "BETA_2", "EPSILON", "Program", "State", "Totals", "join", "look", "split"]
