"""Which stages stand side by side."""

import pytest

from ndmixer import PRESETS, ModelSpec, accounting
from ndmixer.app.forming import MOST_COLUMNS, MOST_NUMBERS, shown


@pytest.mark.parametrize("depth", [0, 1, 8, 9, 32, 256])
def test_blocks_are_thinned_evenly_and_the_chosen_one_stays(depth):
    stages = list(accounting(ModelSpec(depth=depth)).stages)
    for chosen in ("input", stages[depth // 2 + 1].name, "logits"):
        found = [stage.name for stage in shown(stages, chosen, 10)]
        assert found == [stage.name for stage in stages if stage.name in found]
        assert {chosen, "input", "embed", "head", "logits"} <= set(found)
        assert len(found) == len(stages) or len(found) in (MOST_COLUMNS, MOST_COLUMNS + 1)
        blocks = [int(name.removeprefix("block_")) for name in found if "block" in name]
        assert not depth or {0, depth - 1} <= set(blocks)


def test_stages_of_many_numbers_are_shown_one_at_a_time():
    stages = list(accounting(PRESETS["cifar10-classifier-large"].model).stages)
    for chosen in ("embed", "block_2"):
        found = shown(stages, chosen, 10)
        assert chosen in [stage.name for stage in found]
        others = [10 * stage.shape[0] for stage in found if stage.name != chosen]
        assert sum(others) < MOST_NUMBERS
        assert not {"embed", "block_0", "block_2"} - {chosen} & {stage.name for stage in found}
