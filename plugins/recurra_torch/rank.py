"""A rank: a process that holds one replica on one device, and does what the process that started it asks.

Requests come on standard input and answers go back on a descriptor of its own, JSON lines both; arrays lie in shared
memory. When standard input ends, so does the process, whatever it is doing: it holds nothing that is not elsewhere.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from recurra.contract import Batches, ClassifierSpec, SampleShape
from recurra.experiment import Model, Train
from recurra_torch.shared import SharedArrays

if TYPE_CHECKING:
    from recurra_torch.replica import Replica

Request = Mapping[str, Any]


def main() -> None:
    """Answers every request until standard input ends."""
    shared = SharedArrays(int(sys.argv[1]))
    requests: SimpleQueue[Request] = SimpleQueue()
    store = Path(sys.argv[3])
    threading.Thread(target=_listen, args=(requests, store), name="lifeline", daemon=True).start()
    with os.fdopen(int(sys.argv[2]), "w", encoding="utf-8") as answers:
        for answer in _answers(requests, shared, store):
            print(json.dumps(answer), file=answers, flush=True)


def _listen(requests: SimpleQueue[Request], store: Path) -> None:
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    with suppress(OSError):  # left by a starter that was killed; the first of the ranks to notice takes it away
        store.unlink()
    os._exit(0)


def _answers(requests: SimpleQueue[Request], shared: SharedArrays, store: Path) -> Iterator[dict[str, Any]]:
    """First that it is there; then, of each request, where the arrays are that it results in, or its error.

    The first request is for the replica.
    """
    import recurra_torch.replica  # noqa: F401 (takes seconds, in which no other rank should wait for this one)

    yield {"arrays": {}}
    replica: Replica | None = None
    while True:
        request = requests.get()
        try:
            if replica is None:
                replica = _built(request, store)
                yield {"arrays": {}}
            else:
                yield {"arrays": _done(replica, request, shared)}
        except Exception as error:
            line, kind = " ".join(str(error).split()), type(error).__name__
            yield {"error": line, "kind": kind, "traceback": traceback.format_exc()}


def _built(request: Request, store: Path) -> Replica:
    """The replica, once all ranks have met and built theirs."""
    import torch
    import torch.distributed as dist

    from recurra_torch.allocator import keep_freed_memory
    from recurra_torch.devices import resolve
    from recurra_torch.memory import within_memory
    from recurra_torch.replica import Replica

    torch.set_num_threads(request["threads"])
    keep_freed_memory()
    device = resolve(request["device"])
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        f"file://{store}",
        rank=request["rank"],
        world_size=request["ranks"],
        timeout=timedelta(seconds=request["patience"]),
    )
    return within_memory(device, Replica, spec_from(request["spec"]), device, request["seed"])


def spec_values(spec: ClassifierSpec) -> dict[str, Any]:
    """A spec as JSON has it."""
    parts = {"model": spec.model.model_dump(mode="json"), "train": spec.train.model_dump(mode="json")}
    return {**parts, "sample": vars(spec.sample), "classes": spec.classes}


def spec_from(values: Mapping[str, Any]) -> ClassifierSpec:
    """The spec that `spec_values` wrote."""
    model, train = Model.model_validate(values["model"]), Train.model_validate(values["train"])
    return ClassifierSpec(model, train, SampleShape(**values["sample"]), values["classes"])


def _done(replica: Replica, request: Request, shared: SharedArrays) -> Mapping[str, Any]:
    """Does what is asked; where the arrays are that it results in. They take the place of those that came."""
    do: Callable[..., Any] = getattr(replica, request["do"])
    given = shared.views(request["arrays"])
    if request["do"] == "train_steps":
        result: Any = vars(do(Batches(**given, first_step=request["first_step"])))
    elif request["do"] in ("logits", "features"):
        result = {"rows": do(given["x"])}
    elif given:
        result = do(given)
    else:
        result = do()
    return shared.put(result) if result and not replica.rank else {}


if __name__ == "__main__":
    main()
