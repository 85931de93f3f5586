// What the entries of a table in memory weigh: bytes of what is live in it, and how many entries it hides elsewhere.
// For `Store.liveBytes`; exact for what lies in one table, since a write meets there what it replaces.
//
// By namespace, because a namespace that is deleted as one range must weigh nothing from that moment on. A handful of
// namespaces: linear search beats hashing. Guarded by the commit lock.

import ValkBase

/// Of one namespace in one table.
struct MemoryWeight: Sendable {
    /// Bytes of the newest versions of what was put.
    var bytes = 0
    var puts = 0
    /// Entries that are known to hide an older one outside of the table.
    var hides = 0
    /// Puts of which nobody knows whether they hide something.
    var unknown = 0

    static func += (a: inout MemoryWeight, b: MemoryWeight) {
        a.bytes += b.bytes
        a.puts += b.puts
        a.hides += b.hides
        a.unknown += b.unknown
    }
}

final class MemoryWeights: @unchecked Sendable {  // Behind the commit lock.
    private var namespaces: [UInt32] = []
    private var weights: UnsafeMutablePointer<MemoryWeight>
    private var capacity = 4
    // The namespace of the last entry, and where its weight is.
    private var current: UInt32 = 0
    private var weight: UnsafeMutablePointer<MemoryWeight>?

    /// About what an entry takes beside key and value: in a block of a table, and in the log where the value stays
    /// there, whose record has the key once more.
    static let entryBytes = 16
    static let separatedBytes = 64

    init() {
        weights = .allocate(capacity: capacity)
        weights.initialize(repeating: MemoryWeight(), count: capacity)
    }

    deinit { weights.deallocate() }

    @inline(__always)
    static func bytes(keyBytes: Int, valueBytes: Int, isSeparated: Bool) -> Int {
        isSeparated
            ? 2 &* keyBytes &+ valueBytes &+ entryBytes &+ separatedBytes : keyBytes &+ valueBytes &+ entryBytes
    }

    /// An entry comes in. `older`: the version of the table that it replaces. Keys without a namespace are not weighed.
    @inline(__always)
    func add(
        _ key: ByteView, _ kind: EntryKind, _ flags: EntryFlags, valueBytes: Int, older: TableRecord?
    ) {
        if key.count < 4 { return }
        let namespace = key.base.bigEndian(0, UInt32.self)
        let weight = namespace == current ? self.weight ?? search(namespace) : search(namespace)
        if kind == .put {
            weight.pointee.puts &+= 1
            weight.pointee.bytes &+= MemoryWeights.bytes(
                keyBytes: key.count, valueBytes: valueBytes, isSeparated: flags.contains(.separated))
        }
        guard let older else {
            if flags.contains(.priorUnknown) {
                weight.pointee.unknown &+= 1
            } else if flags.contains(.priorPresent) {
                weight.pointee.hides &+= 1
            }
            return
        }
        if older.kind == .put {
            weight.pointee.puts &-= 1
            weight.pointee.bytes &-= MemoryWeights.bytes(
                keyBytes: key.count, valueBytes: older.valueLength, isSeparated: older.flags.contains(.separated))
        }
    }

    @inline(never)
    private func search(_ namespace: UInt32) -> UnsafeMutablePointer<MemoryWeight> {
        var place = namespaces.count
        if let found = namespaces.firstIndex(of: namespace) {
            place = found
        } else {
            if place == capacity { grow() }
            namespaces.append(namespace)
            weights[place] = MemoryWeight()
        }
        current = namespace
        weight = weights + place
        return weights + place
    }

    private func grow() {
        let more = UnsafeMutablePointer<MemoryWeight>.allocate(capacity: 2 * capacity)
        more.initialize(repeating: MemoryWeight(), count: 2 * capacity)
        more.update(from: weights, count: capacity)
        weights.deallocate()
        weights = more
        capacity *= 2
    }

    /// Namespaces `lower ..< upper` are deleted.
    func forget(_ lower: UInt32, _ upper: UInt32) {
        for (place, namespace) in namespaces.enumerated() where namespace >= lower && namespace < upper {
            weights[place] = MemoryWeight()
        }
    }

    var sum: MemoryWeight { (0..<namespaces.count).reduce(into: MemoryWeight()) { $0 += weights[$1] } }
}

extension RangeTombstone {
    /// The namespaces that are deleted as a whole; nil where the range is another.
    var namespaces: (lower: UInt32, upper: UInt32)? {
        guard lower.count == 4, upper.count == 4 else { return nil }
        func number(_ key: [UInt8]) -> UInt32 { key.withView { $0.base.bigEndian(0, UInt32.self) } }
        return (number(lower), number(upper))
    }
}
