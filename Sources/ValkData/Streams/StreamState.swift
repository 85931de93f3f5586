// What a stream keeps beside its entries (`Collection.extra`), and its elements:
//
//   entry      [4][id 16 BE]                                  -> fields and values, each [length varint][bytes]
//   group      [5][name]                                      -> StreamGroup
//   consumer   [6][group u32 BE][name]                        -> StreamConsumer
//   pending    [7][group u32 BE][id 16 BE]                    -> PendingEntry
//   its own    [8][group u32 BE][consumer u32 BE][id 16 BE]   -> empty; the same, found by consumer
//
// Groups and consumers have numbers, which are never used twice in a stream, so that keys do not grow with names.
// `count` is the number of entries. A stream without entries is a key all the same.

import ValkBase

extension ElementKind {
    package static var entry: UInt8 { 4 }
    package static var group: UInt8 { 5 }
    package static var consumer: UInt8 { 6 }
    package static var pending: UInt8 { 7 }
    package static var owned: UInt8 { 8 }
}

extension Collection {
    /// The id of the entry that was added last, or what XSETID says.
    package var lastID: StreamID {
        get { StreamID(extra[0], extra[1]) }
        set {
            extra[0] = newValue.milliseconds
            extra[1] = newValue.sequence
        }
    }

    /// The greatest id that XDEL has deleted.
    package var deletedID: StreamID {
        get { StreamID(extra[2], extra[3]) }
        set {
            extra[2] = newValue.milliseconds
            extra[3] = newValue.sequence
        }
    }

    /// Entries ever added.
    package var added: Int64 {
        get { Int64(bitPattern: extra[4]) }
        set { extra[4] = UInt64(bitPattern: newValue) }
    }

    package var groupCount: Int {
        get { Int(extra[5]) }
        set { extra[5] = UInt64(newValue) }
    }

    /// The number of the next group.
    package var nextGroup: UInt32 {
        get { UInt32(truncatingIfNeeded: extra[6]) }
        set { extra[6] = extra[6] & ~0xFFFF_FFFF | UInt64(newValue) }
    }

    /// No entry has a smaller id: walks begin here, and need not pass what was trimmed. Sequences beyond 32 bits count
    /// as 0.
    package var firstBound: StreamID {
        get { StreamID(extra[7], extra[6] >> 32) }
        set {
            let sequence = newValue.sequence > UInt64(UInt32.max) ? 0 : newValue.sequence
            extra[6] = extra[6] & 0xFFFF_FFFF | sequence << 32
            extra[7] = newValue.milliseconds
        }
    }
}

extension ElementScratch {
    package func entry(_ id: StreamID) -> ElementKey {
        key(ElementKind.entry, StreamID.bytes) { id.write(to: $0) }
    }

    package func group(_ name: ByteView) -> ElementKey { plain(ElementKind.group, name) }

    package func consumer(_ group: UInt32, _ name: ByteView) -> ElementKey {
        key(ElementKind.consumer, 4 + name.count) {
            $0.storeBytes(of: group.bigEndian, as: UInt32.self)
            ($0 + 4).copyMemory(from: name.base, byteCount: name.count)
        }
    }

    package func pending(_ group: UInt32, _ id: StreamID) -> ElementKey {
        key(ElementKind.pending, 4 + StreamID.bytes) {
            $0.storeBytes(of: group.bigEndian, as: UInt32.self)
            id.write(to: $0 + 4)
        }
    }

    package func owned(_ group: UInt32, _ consumer: UInt32, _ id: StreamID) -> ElementKey {
        key(ElementKind.owned, 8 + StreamID.bytes) {
            $0.storeBytes(of: group.bigEndian, as: UInt32.self)
            $0.storeBytes(of: consumer.bigEndian, toByteOffset: 4, as: UInt32.self)
            id.write(to: $0 + 8)
        }
    }

    /// Where what a group has of a kind begins.
    package func begin(_ kind: UInt8, _ group: UInt32) -> ElementKey {
        key(kind, 4) { $0.storeBytes(of: group.bigEndian, as: UInt32.self) }
    }

    /// The end of what a group has of a kind.
    package func end(_ kind: UInt8, _ group: UInt32) -> ElementKey {
        if group == .max { return bound(kind + 1) }
        return key(kind, 4) { $0.storeBytes(of: (group + 1).bigEndian, as: UInt32.self) }
    }

    private func key(_ kind: UInt8, _ count: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> ElementKey {
        withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { memory in
            guard let base = memory.baseAddress else { return bound(kind) }
            fill(base)
            return plain(kind, ByteView(base: base, count: count))
        }
    }
}

/// What is kept of a consumer group.
package struct StreamGroup: Sendable {
    static var bytes: Int { 48 }

    package let number: UInt32
    /// The number of its next consumer.
    package var nextConsumer: UInt32 = 0
    /// The last entry that was given to anybody.
    package var lastID: StreamID
    /// How many entries were read, counted from the first one ever; -1: unknown.
    package var entriesRead: Int64
    /// Entries given out and not acknowledged.
    package var pending: UInt64 = 0
    package var consumers: UInt64 = 0

    package init(number: UInt32, lastID: StreamID, entriesRead: Int64) {
        self.number = number
        self.lastID = lastID
        self.entriesRead = entriesRead
    }

    /// Nil when the value is none.
    package init?(_ value: ByteView) {
        guard value.count == Self.bytes else { return nil }
        number = value.number(at: 0)
        nextConsumer = value.number(at: 4)
        lastID = StreamID(value, at: 8)
        entriesRead = value.number(at: 24)
        pending = value.number(at: 32)
        consumers = value.number(at: 40)
    }

    package func write(_ keys: KeyAccess) -> ByteView {
        let memory = keys.allocate(Self.bytes)
        memory.storeBytes(of: number.littleEndian, as: UInt32.self)
        memory.storeBytes(of: nextConsumer.littleEndian, toByteOffset: 4, as: UInt32.self)
        lastID.write(to: memory + 8)
        memory.storeBytes(of: entriesRead.littleEndian, toByteOffset: 24, as: Int64.self)
        memory.storeBytes(of: pending.littleEndian, toByteOffset: 32, as: UInt64.self)
        memory.storeBytes(of: consumers.littleEndian, toByteOffset: 40, as: UInt64.self)
        return ByteView(base: memory, count: Self.bytes)
    }
}

/// What is kept of a consumer of a group.
package struct StreamConsumer: Sendable {
    static var bytes: Int { 24 }

    package let number: UInt32
    /// Milliseconds since 1970.
    package var seenAt: UInt64
    package var pending: UInt64 = 0

    package init(number: UInt32, seenAt: UInt64) {
        self.number = number
        self.seenAt = seenAt
    }

    /// Nil when the value is none.
    package init?(_ value: ByteView) {
        guard value.count == Self.bytes else { return nil }
        number = value.number(at: 0)
        seenAt = value.number(at: 8)
        pending = value.number(at: 16)
    }

    package func write(_ keys: KeyAccess) -> ByteView {
        let memory = keys.allocate(Self.bytes)
        memory.storeBytes(of: number.littleEndian, as: UInt32.self)
        memory.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
        memory.storeBytes(of: seenAt.littleEndian, toByteOffset: 8, as: UInt64.self)
        memory.storeBytes(of: pending.littleEndian, toByteOffset: 16, as: UInt64.self)
        return ByteView(base: memory, count: Self.bytes)
    }
}

/// An entry that was given to a consumer, who has not acknowledged it.
package struct PendingEntry: Sendable {
    private static var headBytes: Int { 20 }

    /// Milliseconds since 1970.
    package var deliveredAt: UInt64
    package var deliveries: UInt64
    package var consumer: UInt32
    /// The consumer's.
    package var name: [UInt8]

    package init(deliveredAt: UInt64, deliveries: UInt64, consumer: UInt32, name: [UInt8]) {
        self.deliveredAt = deliveredAt
        self.deliveries = deliveries
        self.consumer = consumer
        self.name = name
    }

    /// Nil when the value is none.
    package init?(_ value: ByteView) {
        guard value.count >= Self.headBytes else { return nil }
        deliveredAt = value.number(at: 0)
        deliveries = value.number(at: 8)
        consumer = value.number(at: 16)
        name = value.dropFirst(Self.headBytes).array
    }

    package func write(_ keys: KeyAccess) -> ByteView {
        let memory = keys.allocate(Self.headBytes + name.count)
        memory.storeBytes(of: deliveredAt.littleEndian, as: UInt64.self)
        memory.storeBytes(of: deliveries.littleEndian, toByteOffset: 8, as: UInt64.self)
        memory.storeBytes(of: consumer.littleEndian, toByteOffset: 16, as: UInt32.self)
        name.withView { (memory + Self.headBytes).copyMemory(from: $0.base, byteCount: $0.count) }
        return ByteView(base: memory, count: Self.headBytes + name.count)
    }
}

extension ByteView {
    fileprivate func number<T: FixedWidthInteger>(at offset: Int) -> T {
        T(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}
