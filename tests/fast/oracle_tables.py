"""The oracle's tables: what Python writes on change, in dictionaries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sfu.fast import EgressStats, SourceLevel, SourceStats
from tests.fast.oracle_pack import Packer
from tests.fast.oracle_packet import HeaderLayout, RtpPacket
from tests.fast.oracle_red import History
from tests.fast.oracle_source import OracleSource
from tests.fast.oracle_stream import OracleEgress, Timeline


@dataclass
class OracleTransport:
    """An association: sessions, where media goes, which rows belong to it."""

    receive: Any = None
    send: Any = None
    route: bytes | None = None
    source: int = -1
    egresses: list[int] = field(default_factory=list)


@dataclass
class OracleSlot:
    """A virtual microphone: its timeline, its streams by redundancy, who holds it."""

    timeline: Timeline = field(default_factory=Timeline)
    streams: dict[int, int] = field(default_factory=dict)
    history: History | None = None
    holder: int = -1
    id: int = -1
    lean: bool = False
    tapped: bool = False
    packed: int = -1  # the row whose streams carry it packed
    origin: int = -1  # of such a row: the slot itself
    packer: Packer | None = None  # of such a row


@dataclass
class OracleStream:
    """A sequence of packets and who subscribed to it."""

    slot: int
    redundancy: int
    egresses: list[int] = field(default_factory=list)


@dataclass
class Waiting:
    """A challenger's packet, kept for the decision."""

    source: int
    packet: RtpPacket
    sequence: int
    payload: bytes
    level_byte: int


class OracleTables:
    """Rows and their references to each other; one method for each change."""

    def __init__(self) -> None:
        self._transports: dict[int, OracleTransport] = {}
        self._addresses: dict[bytes, int] = {}
        self._sources: dict[int, OracleSource] = {}
        self._slots: dict[int, OracleSlot] = {}
        self._streams: dict[int, OracleStream] = {}
        self._egresses: dict[int, OracleEgress] = {}
        self._waiting: dict[int, Waiting] = {}
        self._next_id = 0
        self.gone: Counter[str] = Counter()  # what removed packers had counted

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def add_transport(self) -> int:
        """See `Forwarder`."""
        transport = self._take_id()
        self._transports[transport] = OracleTransport()
        return transport

    def remove_transport(self, transport: int) -> None:
        """See `Forwarder`."""
        row = self._transports[transport]
        for egress in list(row.egresses):
            self.remove_egress(egress)
        if row.source >= 0:
            self.remove_source(row.source)
        for address in [a for a, owner in self._addresses.items() if owner == transport]:
            del self._addresses[address]
        del self._transports[transport]

    def set_keys(self, transport: int, receive: Any, send: Any) -> None:
        """See `Forwarder`."""
        row = self._transports[transport]
        row.receive, row.send = receive, send

    def allow(self, transport: int, address: bytes) -> None:
        """See `Forwarder`."""
        assert transport in self._transports
        if self._addresses.get(address) != transport:
            self.revoke(address)
        self._addresses[address] = transport

    def revoke(self, address: bytes) -> None:
        """See `Forwarder`."""
        owner = self._addresses.pop(address, None)
        if owner is not None and self._transports[owner].route == address:
            self._transports[owner].route = None

    def route(self, transport: int, address: bytes) -> None:
        """See `Forwarder`."""
        self._transports[transport].route = address

    def reidentify(self, transport: int, *, csrc: int, echo_group: int) -> None:
        """See `Forwarder`."""
        row = self._transports[transport]
        source = self._sources.get(row.source)
        egresses = [self._egresses[egress] for egress in row.egresses]
        if source is not None and source.slot >= 0:
            raise ValueError("the source holds a slot")
        if any(egress.stream >= 0 for egress in egresses):
            raise ValueError("an egress carries a stream")
        for egress in egresses:
            egress.echo_group = echo_group
        if source is not None:
            source.csrc, source.echo_group = csrc, echo_group
            self._forget_waiting(row.source)

    def add_source(
        self,
        transport: int,
        *,
        csrc: int,
        echo_group: int,
        payload_type: int,
        red_payload_type: int = 0,
        level_extension: int = 0,
        ssrc: int = 0,
        repeats: bool = False,
    ) -> int:
        """See `Forwarder`."""
        source = self._take_id()
        self._sources[source] = OracleSource(
            transport,
            csrc,
            echo_group,
            payload_type,
            red_payload_type,
            level_extension,
            ssrc,
            repeats,
        )
        self._transports[transport].source = source
        return source

    def remove_source(self, source: int) -> None:
        """See `Forwarder`."""
        row = self._sources.pop(source)
        self._transports[row.transport].source = -1
        self._forget_waiting(source)
        if row.slot >= 0:
            self._slots[row.slot].holder = -1

    def set_audible(self, source: int, audible: bool) -> None:
        """See `Forwarder`."""
        row = self._sources[source]
        if row.audible == audible:
            return
        row.audible = audible
        if not audible:
            row.loudness.fall_silent()
        if row.slot >= 0:
            self._timeline_of(row).restart()

    def add_slot(self, *, lean: bool = False) -> int:
        """See `Forwarder`."""
        slot = self._take_id()
        self._slots[slot] = OracleSlot(id=slot, lean=lean)
        self.slot_stream(slot)
        return slot

    def remove_slot(self, slot: int) -> None:
        """See `Forwarder`."""
        row = self._slots.pop(slot)
        if row.packed >= 0:
            self.remove_slot(row.packed)
        if row.packer:
            self.gone.update(packed=row.packer.made, late=row.packer.late)
        if row.holder >= 0:
            self._sources[row.holder].slot = -1
        for stream in row.streams.values():
            for egress in self._streams.pop(stream).egresses:
                self._egresses[egress].stream = -1

    def assign(self, slot: int, source: int, now: float) -> None:
        """See `Forwarder`."""
        row = self._slots[slot]
        if row.holder == source:
            return
        if source >= 0:
            if self._sources[source].slot >= 0:
                raise ValueError("a source holds at most one slot")
            self._sources[source].slot = slot
        if row.holder >= 0:
            self._sources[row.holder].slot = -1
        row.holder = source
        row.timeline.restart()

    def tap(self, slot: int, on: bool) -> None:
        """See `Forwarder`."""
        self._slots[slot].tapped = on

    def slot_stream(self, slot: int, redundancy: int = 0, *, packed: bool = False) -> int:
        """See `Forwarder`."""
        if packed:
            slot = self._packed_row(slot)
        row = self._slots[slot]
        if redundancy not in row.streams:
            row.streams[redundancy] = self._take_id()
            self._streams[row.streams[redundancy]] = OracleStream(slot, redundancy)
            if redundancy:
                self._keep_history(slot)
        return row.streams[redundancy]

    def _packed_row(self, slot: int) -> int:
        """What carries the slot in packs, from the first use on: a row with numbers of its own."""
        row = self._slots[slot]
        if row.packed < 0:
            self._keep_history(slot)
            row.packed = self._take_id()
            packed = OracleSlot(id=row.packed, lean=row.lean, origin=slot, packer=Packer())
            self._slots[row.packed] = packed
            self.slot_stream(row.packed)
        return row.packed

    def _keep_history(self, slot: int) -> None:
        if self._slots[slot].history is None:
            self._slots[slot].history = History()

    def add_egress(
        self,
        transport: int,
        *,
        ssrc: int,
        payload_type: int,
        first_sequence: int,
        first_timestamp: int,
        echo_group: int,
        level_extension: int = 0,
        mid_extension: int = 0,
        mid: bytes = b"",
        red_payload_type: int = 0,
        repeats: bool = False,
        transport_cc_extension: int = 0,  # packets look as without it until they are stamped
        transport_cc_borrowed: bool = False,
    ) -> int:
        """See `Forwarder`."""
        layout = HeaderLayout(payload_type, ssrc, level_extension, mid_extension, mid)
        egress = self._take_id()
        self._egresses[egress] = OracleEgress(
            transport,
            layout,
            first_sequence,
            first_timestamp,
            echo_group,
            red_payload_type,
            repeats,
        )
        self._transports[transport].egresses.append(egress)
        return egress

    def remove_egress(self, egress: int) -> None:
        """See `Forwarder`."""
        self.subscribe(egress, -1)
        row = self._egresses.pop(egress)
        self._transports[row.transport].egresses.remove(egress)

    def subscribe(self, egress: int, stream: int) -> None:
        """See `Forwarder`."""
        row = self._egresses[egress]
        if row.stream == stream:
            return
        target = self._streams[stream] if stream >= 0 else None
        if target is not None and target.redundancy and not row.red_payload_type:
            raise ValueError("this listener takes no RED")
        left = None
        if row.stream >= 0:
            left = self._streams[row.stream].slot
            self._streams[row.stream].egresses.remove(egress)
        row.stream = stream
        if target is None:
            row.anchored = False
            return
        target.egresses.append(egress)
        if target.slot != left:
            same = left is not None and self._origin(left) == self._origin(target.slot)
            row.switching = same and (row.anchored or row.switching)
            row.anchored = False
        if row.repeats:
            self._keep_history(target.slot)

    def _origin(self, slot: int) -> int:
        return self._slots[slot].origin if self._slots[slot].packer else slot

    def egress_stream(self, egress: int) -> int:
        """See `Forwarder`."""
        return self._egresses[egress].stream

    def level(self, source: int, now: float) -> SourceLevel:
        """See `Forwarder`."""
        return self._sources[source].loudness.report(now)

    def levels(self, sources: list[int], now: float) -> list[SourceLevel]:
        """See `Forwarder`."""
        return [self.level(source, now) for source in sources]

    def source_stats(self, source: int) -> SourceStats:
        """See `Forwarder`."""
        return self._sources[source].stats()

    def egress_stats(self, egress: int) -> EgressStats:
        """See `Forwarder`."""
        return self._egresses[egress].stats()

    def sizes(self) -> dict[str, int]:
        """See `Forwarder`."""
        return {
            "transports": len(self._transports),
            "addresses": len(self._addresses),
            "sources": len(self._sources),
            "slots": sum(slot.packer is None for slot in self._slots.values()),
            "streams": len(self._streams),
            "egresses": len(self._egresses),
            "audiences": 0,  # holding packets back is outside of what this forwarder models
        }

    def _forget_waiting(self, source: int) -> None:
        """What it asked with is of no use any more."""
        self._waiting = {h: kept for h, kept in self._waiting.items() if kept.source != source}

    def _timeline_of(self, source: OracleSource) -> Timeline:
        return self._slots[source.slot].timeline
