# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Output tracks: what each of them carries, and what was negotiated for it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from sfu.fast._egress cimport heard_until, write_extension
from sfu.fast._history cimport History, first_unheard
from sfu.fast._misuse cimport check_echo_group, check_payload_types
from sfu.fast._rows cimport (
    FLOWING_S, MID_SIZE_MAX, NOBODY, SENT_MAX, TRANSPORT_EGRESSES_MAX, Egress, Sent, Slot, Stream, Transport,
)
from sfu.fast._slots cimport Slots
from sfu.fast._tables cimport grown

from sfu.fast.records import EgressStats

cdef enum:
    SSRCS_MAX = 1024    # libsrtp keeps 0.4 KiB for each as long as the keys live


cdef class Egresses(Slots):
    def add_egress(
        self,
        int32_t transport,
        *,
        uint32_t ssrc,
        uint8_t payload_type,
        int32_t first_sequence,
        uint32_t first_timestamp,
        int32_t echo_group,
        uint8_t level_extension=0,
        uint8_t mid_extension=0,
        bytes mid not None=b"",
        uint8_t red_payload_type=0,
        bint repeats=False,
        uint8_t transport_cc_extension=0,
        bint transport_cc_borrowed=False,
    ):
        cdef Transport* owner = self._transport(transport)
        cdef int32_t row, index
        cdef Egress* egress
        cdef const uint8_t* name
        cdef uint8_t length
        if not 1 <= first_sequence <= 32767:
            raise ValueError(f"first_sequence is 1 to 32767, not {first_sequence}")
        check_payload_types(payload_type, red_payload_type)
        check_echo_group(echo_group)
        if PyBytes_GET_SIZE(mid) > MID_SIZE_MAX:
            raise ValueError(f"a MID has at most {MID_SIZE_MAX} bytes")
        if owner.egress_count >= TRANSPORT_EGRESSES_MAX:
            raise OverflowError(f"a transport has at most {TRANSPORT_EGRESSES_MAX} egresses")
        self._check_unused(transport, ssrc)
        row = self.egress_rows.take()
        self.egresses = <Egress*>grown(self.egresses, &self.egress_capacity, row + 1, sizeof(Egress))
        egress = &self.egresses[row]
        memset(egress, 0, sizeof(Egress))
        egress.alive = True
        egress.needs_anchor = True
        egress.transport = transport
        egress.stream = NOBODY
        egress.echo_group = echo_group
        egress.ssrc = ssrc
        egress.payload_type = payload_type
        egress.red_payload_type = red_payload_type
        egress.last_sequence = first_sequence - 1
        egress.first_timestamp = first_timestamp
        egress.sent_at = egress.excused_at = -INFINITY
        name = <const uint8_t*>PyBytes_AS_STRING(mid)
        length = <uint8_t>PyBytes_GET_SIZE(mid)
        write_extension(&egress.plain, level_extension, mid_extension, name, length, 0)
        egress.borrows = transport_cc_borrowed
        if transport_cc_extension > 0:
            write_extension(
                &egress.stamped, level_extension, mid_extension, name, length, transport_cc_extension
            )
            write_extension(&egress.stamped_lean, 0, 0, name, 0, transport_cc_extension)
        if repeats:
            egress.sent = <Sent*>calloc(SENT_MAX, sizeof(Sent))
            if egress.sent == NULL:
                egress.alive = False
                self.egress_rows.give_back(row)
                raise MemoryError
            for index in range(SENT_MAX):
                egress.sent[index].sequence = -1
        owner.egresses[owner.egress_count] = row
        owner.egress_count += 1
        return row

    cdef int _check_unused(self, int32_t transport, uint32_t ssrc) except -1:
        """Under its keys, the transport has never sent anything with this SSRC."""
        cdef Transport* owner = &self.transports[transport]
        cdef set spent = self.spent.get(transport, set())
        cdef int32_t index
        cdef bint is_used = ssrc in spent
        for index in range(owner.egress_count):
            is_used = is_used or self.egresses[owner.egresses[index]].ssrc == ssrc
        if is_used:
            raise ValueError(f"transport {transport} has used SSRC {ssrc:#x} under its keys")
        if len(spent) >= SSRCS_MAX:
            raise OverflowError(f"a transport uses at most {SSRCS_MAX} SSRCs under its keys")
        return 0

    def remove_egress(self, int32_t egress):
        cdef Egress* row = self._egress(egress)
        cdef Transport* owner = &self.transports[row.transport]
        cdef int32_t index
        self._assert_drained()
        self._unsubscribe(egress)
        self._owe_nothing(egress)
        for index in range(owner.egress_count):
            if owner.egresses[index] == egress:
                owner.egress_count -= 1
                owner.egresses[index] = owner.egresses[owner.egress_count]
                break
        if row.packets > 0:
            self.spent.setdefault(row.transport, set()).add(row.ssrc)
        free(row.sent)
        row.sent = NULL
        row.alive = False
        self.egress_rows.give_back(egress)

    def subscribe(self, int32_t egress, int32_t stream):
        cdef Egress* row = self._egress(egress)
        cdef Stream* target
        cdef int32_t left = NOBODY      # the row that it heard before
        self._assert_drained()
        if row.stream == stream:
            return
        target = self._stream(stream) if stream != NOBODY else NULL
        if target != NULL and target.form > 0 and row.red_payload_type == 0:
            raise ValueError(f"the listener of egress {egress} takes no RED")
        if target != NULL and row.sent != NULL:
            self._keep_history(&self.slots[target.slot])
        if row.stream != NOBODY:
            left = self.streams[row.stream].slot
        self._unsubscribe(egress)
        if target == NULL:
            self._owe_nothing(egress)
            return
        target.egresses = <int32_t*>grown(
            target.egresses, &target.capacity, target.count + 1, sizeof(int32_t)
        )
        target.egresses[target.count] = egress
        row.position = target.count
        row.stream = stream
        # The forms of a slot share its numbers: between them nothing is missed.
        if target.slot != left:
            self._arrive(egress, left, target.slot)
        row.excused_at = max(row.excused_at, self.slots[target.slot].carried_at)
        target.count += 1

    def egress_stats(self, int32_t egress):
        cdef Egress* row = self._egress(egress)
        return EgressStats(
            row.packets, row.octets, <uint32_t>row.last_time, row.sent_at, row.last_sequence
        )

    def egress_stream(self, int32_t egress):
        return self._egress(egress).stream

    def carriers(self, int32_t stream):
        return self._stream(stream).count

    def behind(self, double now):
        cdef list found = []
        cdef int32_t egress
        for egress in range(self.egress_capacity):
            if self.egresses[egress].alive and self._is_behind(&self.egresses[egress], now):
                found.append(egress)
        return found

    cdef bint _is_behind(self, Egress* row, double now) noexcept:
        cdef Transport* transport = &self.transports[row.transport]
        cdef Slot* slot
        if row.stream == NOBODY or transport.send == NULL or not transport.is_routed:
            return False
        slot = &self.slots[self.streams[row.stream].slot]
        if slot.newest_echo_group == row.echo_group or now - slot.carried_at >= FLOWING_S:
            return False
        return slot.carried_at - max(slot.flowing_since, row.sent_at, row.excused_at) > FLOWING_S

    def sizes(self):
        return {
            "transports": self.transport_rows.alive,
            "addresses": self.addresses.count,
            "sources": self.source_rows.alive,
            "slots": self.slot_rows.alive - self.packed_rows,
            "streams": self.stream_rows.alive,
            "egresses": self.egress_rows.alive,
            "audiences": self.audience_rows.alive,
        }

    cdef int _arrive(self, int32_t egress, int32_t left, int32_t slot) except -1:
        """`egress` heard the row `left`, and from now on `slot`."""
        cdef Egress* row = &self.egresses[egress]
        # What is held for its tick was placed for those who listened then.
        row.oldest_index = self.slots[slot].newest_index + 1
        if left == NOBODY or self._origin(left) != self._origin(slot):
            row.is_switching = False
        elif not row.needs_anchor:
            row.is_switching = True
        row.needs_anchor = True
        if row.is_switching:
            self._switch(egress, slot)
        else:
            self._owe_nothing(egress)
        return 0

    cdef int _switch(self, int32_t egress, int32_t slot) except -1:
        """`egress` goes on with the same slot, packed or not any more: from what it has not heard of it."""
        cdef Egress* row = &self.egresses[egress]
        cdef Slot* origin = &self.slots[self._origin(slot)]
        row.owed_index = first_unheard(<History*>origin.history, origin.newest_index, heard_until(row))
        if self.slots[slot].packs == NOBODY:
            row.oldest_index = row.owed_index
        if not row.is_owed:
            self.owed = <int32_t*>grown(self.owed, &self.owed_capacity, self.owed_count + 1, sizeof(int32_t))
            self.owed[self.owed_count] = egress
            self.owed_count += 1
            row.is_owed = True
        return 0

    cdef void _owe_nothing(self, int32_t egress) noexcept:
        """What `egress` was owed was of a slot that it does not hear any more."""
        cdef int32_t at
        if not self.egresses[egress].is_owed:
            return
        self.egresses[egress].is_owed = False
        for at in range(self.owed_count):
            if self.owed[at] == egress:
                self.owed_count -= 1
                self.owed[at] = self.owed[self.owed_count]
                return
