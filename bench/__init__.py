"""How fast recurra trains and loads, against the loops that a user would write. Run it: `make bench`.

Every contender trains the same network on the same samples with its framework's own Adam, shuffled in each epoch, in a
process of its own: frameworks cannot share one, and settings such as a backend's memory allocator or its determinism
would reach its rivals. A round is one epoch of each, one after the other; the first one warms up and does not count.
Ratios are taken round by round, so that what slows the machine down for a while cancels.

`*_loop.py`, `*_gan.py` and `keras_fit.py` are the contenders, to be read and judged; `contenders.py` has the targets.
"""

__all__: list[str] = []
