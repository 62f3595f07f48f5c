"""An order of faults: reading it, and letting its faults meet the calls.

Faults meet the calls of the API that they are for, in the order they were given; the first that ends a call ends it.
What they need to be random they draw from one seeded generator, so the same calls in the same order meet the same
faults.
"""

import random
import re
import time
from typing import Any

import msgspec
from msgspec import Struct

from bucket_loader.emulator.faults.faults import AnyFault, DroppedStreamFault, Fault
from bucket_loader.emulator.faults.meeting import Call, Clock, Meeting, Memory
from bucket_loader.model import UsageError, did_you_mean, json_mistake


class Order(Struct, forbid_unknown_fields=True):
    """The body of PUT /_emulator/faults."""

    faults: list[AnyFault] = []
    seed: int = 1


class FaultsView(Struct, rename="camel"):
    """The faults that are ordered now, each with how often it struck; they have been there for `ageSeconds`."""

    seed: int
    age_seconds: float
    faults: list[dict[str, Any]]


class Faults:
    """The faults that are ordered now."""

    def __init__(self, order: Order | None = None, clock: Clock = time.monotonic) -> None:
        order = order or Order()
        self._clock = clock
        self._seed = order.seed
        self._ordered_s = clock()
        self._faults = [(fault, Memory(clock)) for fault in order.faults]
        self._generator = random.Random(order.seed)  # noqa: S311  # repeatable, not secret

    @classmethod
    def read(cls, document: bytes | dict[str, Any], clock: Clock = time.monotonic) -> "Faults":
        """Read an order of faults.

        Raises:
            UsageError: it is malformed.
        """
        try:
            if isinstance(document, bytes):
                return cls(msgspec.json.decode(document, type=Order), clock)
            return cls(msgspec.convert(document, Order), clock)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(
                f"malformed faults: {_explained(json_mistake(error))}",
                hint='an example: {"faults": [{"kind": "html"}]}',
            ) from error

    @property
    def order(self) -> Order:
        """What was ordered."""
        return Order([fault for fault, _ in self._faults], self._seed)

    def shown(self) -> FaultsView:
        """Show what is ordered, and how often each struck."""
        faults = [msgspec.to_builtins(fault) | {"struck": memory.struck} for fault, memory in self._faults]
        return FaultsView(self._seed, round(self._clock() - self._ordered_s, 3), faults)

    async def meet(self, call: Call) -> bool:
        """Let every fault that strikes this call do its harm, until one ends the call."""
        if not self._faults:
            return False
        # All are drawn now: the order of calls decides, not their pace.
        drawn = [fault.is_for(call) and self._draw(fault) for fault, _ in self._faults]
        for (fault, memory), is_drawn in zip(self._faults, drawn, strict=True):
            meeting = Meeting(call, memory)
            if not is_drawn or memory.struck == fault.times or not fault.strikes(meeting):
                continue
            memory.struck += 1
            call.fault = str(fault.__struct_config__.tag)
            if await fault.meet(meeting):
                return True
        return False

    def meet_open(self, stream: Call) -> None:
        """Let the faults of streams strike one that was open before they were ordered."""
        for fault, memory in self._faults:
            if not isinstance(fault, DroppedStreamFault) or not fault.is_for(stream):
                continue
            if self._draw(fault) and memory.struck != fault.times:
                memory.struck += 1
                stream.drop(fault.when)

    def _draw(self, fault: Fault) -> bool:
        return fault.rate >= 1 or self._generator.random() < fault.rate


def _explained(message: str) -> str:
    """Add what the kinds are to a message about an unknown one."""
    if "kind: " not in message:
        return message
    kinds = sorted(str(kind.__struct_config__.tag) for kind in Fault.__subclasses__())
    given = re.search(r"kind: '(.*?)'", message)
    listed = f"the kinds are {', '.join(kinds)}"
    return f"{message}; {listed if given is None else did_you_mean(given[1], kinds, listed)}"
