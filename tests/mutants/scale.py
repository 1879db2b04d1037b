"""Faults in pictures in several files, orders by place, several sources and packed sets."""

from __future__ import annotations

from tests.mutants.fault import Fault

ORDER, SHARDS, CACHE = (f"ganforge/data/{name}.py" for name in ("order", "shards", "cache"))
SEVERAL, PROCESSES = (f"ganforge/data/{name}.py" for name in ("several", "processes"))
S, MANY, P, K = (f"tests/test_{name}.py::" for name in ("shards", "several", "processes", "packed"))

FAULTS = [
    Fault(
        "orders-of-few-rounds",
        "condition",
        ORDER,
        "if i % 2:",
        "if i % 2 or i:",
        (S + "test_an_order_by_place_is_uniform",),
    ),
    Fault(
        "one-key-for-all-rounds",
        "forgotten",
        ORDER,
        "_hash(high ^ key)",
        "_hash(high ^ key) * np.uint64(0) + key",
        (S + "test_an_order_by_place_is_uniform",),
    ),
    Fault(
        "places-beyond-the-pictures",
        "off by one",
        ORDER,
        "found >= self.count",
        "found > self.count",
        (S + "test_an_order_by_place_is_a_permutation",),
    ),
    Fault(
        "shards-that-are-not-verified",
        "condition",
        SHARDS,
        "blocks[~known[blocks]].tolist()",
        "blocks[known[blocks]].tolist()",
        (S + "test_nothing_is_read_when_it_is_opened_and_each_block_is_verified_when_it_first_is",),
    ),
    Fault(
        "rows-of-the-next-shard",
        "off by one",
        SHARDS,
        'indices, side="right") - 1',
        'indices, side="left") - 1',
        (S + "test_what_is_large_lies_in_several_files_and_reads_as_one_array",),
    ),
    Fault(
        "deep-pictures-in-the-wrong-shard",
        "tensor",
        CACHE,
        "self._start + row * self._row_bytes",
        "self._start + index * self._row_bytes",
        (S + "test_deep_pictures_find_their_place_in_any_shard",),
    ),
    Fault(
        "classes-of-one-source",
        "tensor",
        SEVERAL,
        "of = dict(zip(layout.kept, layout.classes))",
        "of = dict(zip(layout.kept, next(iter(layouts.values())).classes))",
        (MANY + "test_class_folders_of_one_name_are_one_class_in_whichever_sources_they_lie",),
    ),
    Fault(
        "classes-of-what-was-not-read",
        "condition",
        PROCESSES,
        "in part if file.name not in unread]",
        "in part]",
        (P + "test_processes_make_what_threads_make[folder]",),
    ),
    Fault(
        "empty-shards-are-kept",
        "forgotten",
        PROCESSES,
        "if number != part:",
        "if False:",
        (P + "test_processes_make_what_threads_make[folder]",),
    ),
    Fault(
        "copies-without-a-limit",
        "forgotten",
        "ganforge/data/remote.py",
        "sum(held.values()) + size <=",
        "size <=",
        (K + "test_only_the_shards_in_use_are_copied_and_no_more_than_there_is_room_for",),
    ),
]
