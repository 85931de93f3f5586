// A place in the value log. Positions order like the bytes of the log: by segment, then by offset.

@frozen
@usableFromInline
package struct LogPosition: Comparable, Sendable, CustomStringConvertible {
    @usableFromInline package var rawValue: UInt64

    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable package init(segment: UInt32, offset: UInt32) { rawValue = UInt64(segment) << 32 | UInt64(offset) }
    @inlinable package static var zero: LogPosition { LogPosition(rawValue: 0) }
    @inlinable package var segment: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
    @inlinable package var offset: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
    @inlinable package static func < (a: LogPosition, b: LogPosition) -> Bool { a.rawValue < b.rawValue }
    @usableFromInline package var description: String { "\(segment):\(offset)" }
}
