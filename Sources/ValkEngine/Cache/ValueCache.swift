// Values of the log in memory, in the frames and the budget of the block cache.
//
// A pointer is the value's name: segment, offset and checksum of its record never mean two values while the store is
// open. Two slots come into question for a name; a slot leads to a frame as a table's slot does to a block, so a hit is
// as free of locks as there (see BlockFrame), and eviction works the same way. When both slots are taken, the value is
// not kept: there are more slots than values of a kilobyte fit, so that is rare.
//
// Point reads bring values in to stay; what walks bring are the first to go again (see CacheShard), so a scan through
// everything displaces little else. Any thread.

import CValk
import Glibc
import ValkBase

final class ValueCache: @unchecked Sendable {  // The slots are atomic words, the frames the cache's.
    private let cache: BlockCache
    private let slots: UnsafeMutablePointer<UInt64>
    private let slotCount: Int
    /// Larger values are read from the file each time: a copy is cheap beside sending them.
    static let valueBytesMax = 64 << 10

    init(_ cache: BlockCache) {
        self.cache = cache
        var count = 1024
        while count < cache.budgetBytes / 512 && count < 1 << 24 { count *= 2 }
        slotCount = count
        // Fresh zeros from the system: memory is in use only where values are.
        guard let memory = calloc(count, 8) else { preconditionFailure("no memory for \(count) slots") }
        slots = memory.bindMemory(to: UInt64.self, capacity: count)
        cache.countTable(count * 8)
    }

    deinit {
        cache.detach(slots, count: slotCount)
        cache.countTable(-slotCount * 8)
        free(slots)
    }

    @inline(__always)
    private static func name(_ pointer: ValuePointer) -> UInt64 { UInt64(pointer.segment) << 32 | UInt64(pointer.crc) }

    @inline(__always)
    private func places(
        _ pointer: ValuePointer
    ) -> (first: UnsafeMutablePointer<UInt64>, second: UnsafeMutablePointer<UInt64>) {
        let hash = (Self.name(pointer) ^ UInt64(pointer.offset) << 20) &* 0x9E37_79B9_7F4A_7C15
        let mask = slotCount &- 1
        return (
            slots + (Int(truncatingIfNeeded: hash >> 40) & mask), slots + (Int(truncatingIfNeeded: hash >> 16) & mask)
        )
    }

    /// Asks for what `find` of these values will touch: slots, then frames, then the bytes.
    func prefetch(_ pointers: UnsafeBufferPointer<ValuePointer>) {
        for pointer in pointers {
            let places = places(pointer)
            valk_prefetch(places.first)
            valk_prefetch(places.second)
        }
        for pointer in pointers {
            let places = places(pointer)
            valk_prefetch(UnsafeRawPointer(bitPattern: UInt(valk_load_relaxed_u64(places.first))) ?? emptyBytes)
            valk_prefetch(UnsafeRawPointer(bitPattern: UInt(valk_load_relaxed_u64(places.second))) ?? emptyBytes)
        }
        for pointer in pointers {
            let places = places(pointer)
            prefetchBytes(places.first, pointer)
            prefetchBytes(places.second, pointer)
        }
    }

    /// The processor goes on by itself where bytes are read one after the other.
    @inline(__always)
    private func prefetchBytes(_ slot: UnsafeMutablePointer<UInt64>, _ pointer: ValuePointer) {
        // A frame stays a frame while the cache lives; which value is in it decides `find`.
        guard let frame = BlockFramePointer(bitPattern: UInt(valk_load_relaxed_u64(slot))),
            frame.pointee.block == pointer.offset
        else { return }
        for line in 0..<6 { valk_prefetch(frame.pointee.bytes + line &* 64) }
    }

    /// The value, held by `pins`; nil when it is not here. `warm`: the use counts for keeping it.
    @inline(__always)
    func find(_ pointer: ValuePointer, _ pins: UnsafeMutablePointer<BlockPins>, warm: Bool = true) -> ByteView? {
        let places = places(pointer)
        return find(places.first, pointer, pins, warm) ?? find(places.second, pointer, pins, warm)
    }

    /// Whether the value is most likely here: for guesses.
    func seemsToHold(_ pointer: ValuePointer) -> Bool {
        let places = places(pointer)
        return isOf(places.first, pointer) || isOf(places.second, pointer)
    }

    private func isOf(_ slot: UnsafeMutablePointer<UInt64>, _ pointer: ValuePointer) -> Bool {
        guard let frame = BlockFramePointer(bitPattern: UInt(valk_load_acquire_u64(slot))) else { return false }
        return frame.pointee.fileId == Self.name(pointer) && frame.pointee.block == pointer.offset
    }

    @inline(__always)
    private func find(
        _ slot: UnsafeMutablePointer<UInt64>, _ pointer: ValuePointer, _ pins: UnsafeMutablePointer<BlockPins>,
        _ warm: Bool
    ) -> ByteView? {
        guard let frame = BlockFramePointer.pin(slot: slot, warm: warm) else { return nil }
        guard frame.pointee.fileId == Self.name(pointer), frame.pointee.block == pointer.offset,
            frame.pointee.count == pointer.length
        else {
            frame.unpin()
            return nil
        }
        pins.pointee.countHit()
        pins.pointee.add(frame)
        return ByteView(base: UnsafeRawPointer(frame.pointee.bytes), count: Int(pointer.length))
    }

    /// Keeps a copy of a value that was just read. `cold`: by a walk.
    func insert(_ pointer: ValuePointer, _ value: ByteView, cold: Bool = false) {
        guard value.count <= Self.valueBytesMax, value.count > 0 else { return }
        let places = places(pointer)
        let slot: UnsafeMutablePointer<UInt64>
        if valk_load_relaxed_u64(places.first) == 0 {
            slot = places.first
        } else if valk_load_relaxed_u64(places.second) == 0 {
            slot = places.second
        } else {
            return
        }
        let frame = cache.allocate(
            value.count, fileId: Self.name(pointer), block: Int(pointer.offset), cold: cold)
        memcpy(frame.pointee.bytes, value.base, value.count)
        frame.pointee.count = UInt32(value.count)
        cache.publish(frame, slot: slot, heat: 0)
        frame.unpin()
    }
}
