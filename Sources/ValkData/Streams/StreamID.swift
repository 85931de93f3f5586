// Ids of entries of streams: a time in milliseconds and a number within it, ordered by both.

import ValkBase

package struct StreamID: Comparable, Hashable, Sendable {
    /// As it stands in keys and values.
    package static var bytes: Int { 16 }

    package var milliseconds: UInt64
    package var sequence: UInt64

    package init(_ milliseconds: UInt64, _ sequence: UInt64) {
        self.milliseconds = milliseconds
        self.sequence = sequence
    }

    package static var zero: StreamID { StreamID(0, 0) }
    package static var max: StreamID { StreamID(.max, .max) }

    package static func < (a: StreamID, b: StreamID) -> Bool {
        a.milliseconds != b.milliseconds ? a.milliseconds < b.milliseconds : a.sequence < b.sequence
    }

    /// Nil after the greatest one.
    package var next: StreamID? {
        if sequence < .max { return StreamID(milliseconds, sequence + 1) }
        return milliseconds < .max ? StreamID(milliseconds + 1, 0) : nil
    }

    /// Nil before the least one.
    package var previous: StreamID? {
        if sequence > 0 { return StreamID(milliseconds, sequence - 1) }
        return milliseconds > 0 ? StreamID(milliseconds - 1, .max) : nil
    }

    /// Of 16 bytes from `offset` on.
    package init(_ bytes: ByteView, at offset: Int) {
        milliseconds = UInt64(bigEndian: bytes.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        sequence = UInt64(bigEndian: bytes.base.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
    }

    package func write(to memory: UnsafeMutableRawPointer) {
        memory.storeBytes(of: milliseconds.bigEndian, as: UInt64.self)
        memory.storeBytes(of: sequence.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
}
