"""Random numbers that follow from their key alone."""

from __future__ import annotations

import numpy as np

from models.keyed_random import Purpose, blocks, words


def test_a_block_does_not_depend_on_which_others_are_asked_for() -> None:
    many = blocks(7, 2, Purpose.ORDER, np.arange(1000))
    few = blocks(7, 2, Purpose.ORDER, np.array([999, 3, 17]))

    np.testing.assert_array_equal(few, many[[999, 3, 17]])


def test_seed_epoch_and_purpose_each_give_another_stream() -> None:
    keys = [(0, 0, Purpose.ORDER), (1, 0, Purpose.ORDER), (0, 1, Purpose.ORDER), (0, 0, Purpose.AUGMENTATION)]

    assert len({words(*key, 4).tobytes() for key in keys}) == len(keys)


def test_the_numbers_are_the_same_as_ever() -> None:
    """They decide every order and every shard: another value here breaks every study that is under way."""
    assert words(5, 3, Purpose.AUGMENTATION, 2).tolist() == [1170361211541338873, 13486108319816798981]


def test_no_indices_give_no_blocks() -> None:
    assert blocks(0, 0, Purpose.ORDER, np.array([], np.int64)).shape == (0, 4)
