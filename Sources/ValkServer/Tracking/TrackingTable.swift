// Which clients may hold which keys in a cache of their own: key → ids of clients, in parts by the key's hash, each
// under a lock of its own, so that loops seldom meet.
//
// A client is entered before the moment that it reads from is fixed; a writer takes a key's clients out after its
// commit is visible. So whoever read the old value is found, and whoever is found too much is told once too often.
//
// Names alone count, not databases, as in Redis. Clients that have gone stay in until their keys are taken; the number
// of keys is bounded by the setting, and the key that was entered first goes first.

import Synchronization
import ValkBase

final class TrackingTable: Sendable {
    /// The clients of one key; mostly it is one.
    struct Holders: Sendable {
        private(set) var first: UInt64
        private(set) var others: Set<UInt64> = []

        init(_ id: UInt64) { first = id }

        var count: Int { 1 + others.count }

        /// False when it was there.
        mutating func insert(_ id: UInt64) -> Bool { id != first && others.insert(id).inserted }

        /// Whether it was the last; nil when it was not there.
        mutating func remove(_ id: UInt64) -> Bool? {
            if id != first { return others.remove(id).map { _ in false } }
            guard let next = others.popFirst() else { return true }
            first = next
            return false
        }

        func forEach(_ body: (UInt64) -> Void) {
            body(first)
            for id in others { body(id) }
        }
    }

    private final class Part: Sendable {
        let lock = Lock()
        // SAFETY: both under `lock` only.
        nonisolated(unsafe) var holders: [[UInt8]: Holders] = [:]
        /// Keys in the order in which they came, from `head` on; some have gone or come again since.
        nonisolated(unsafe) var order: [[UInt8]] = []
        nonisolated(unsafe) var head = 0

        func remember(_ key: [UInt8]) {
            order.append(key)
            if order.count - head <= 2 * holders.count + 64 { return }
            var seen = Set<[UInt8]>()
            order = order[head...].filter { holders[$0] != nil && seen.insert($0).inserted }
            head = 0
        }

        func oldest() -> (key: [UInt8], holders: Holders)? {
            while head < order.count {
                let key = order[head]
                head += 1
                if let found = holders.removeValue(forKey: key) { return (key, found) }
            }
            return nil
        }
    }

    private static let partCount = 64
    private let parts = (0..<partCount).map { _ in Part() }
    private let keyTotal = Atomic<Int>(0)
    private let itemTotal = Atomic<Int>(0)
    private let nextPart = Atomic<Int>(0)

    /// Keys, and clients of all of them together.
    var keyCount: Int { keyTotal.load(ordering: .relaxed) }
    var itemCount: Int { itemTotal.load(ordering: .relaxed) }

    // The low eight bits choose the stripe.
    private func part(of key: ByteView) -> Part { parts[Int(truncatingIfNeeded: key.hash64 >> 8 & 63)] }

    /// False when it was there.
    @discardableResult
    func insert(_ key: ByteView, _ id: UInt64) -> Bool {
        let part = part(of: key)
        let key = key.array
        let isNew = part.lock.withLock { part.holders[key]?.insert(id) ?? insertFirst(key, id, part) }
        if isNew { itemTotal.wrappingAdd(1, ordering: .relaxed) }
        return isNew
    }

    private func insertFirst(_ key: [UInt8], _ id: UInt64, _ part: Part) -> Bool {
        part.holders[key] = Holders(id)
        part.remember(key)
        keyTotal.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    /// Takes one client of a key out.
    func remove(_ key: ByteView, _ id: UInt64) {
        let part = part(of: key)
        let key = key.array
        let (isGone, isLast) = part.lock.withLock { () -> (Bool, Bool) in
            guard var holders = part.holders[key], let isLast = holders.remove(id) else { return (false, false) }
            part.holders[key] = isLast ? nil : holders
            return (true, isLast)
        }
        if isGone { itemTotal.wrappingSubtract(1, ordering: .relaxed) }
        if isLast { keyTotal.wrappingSubtract(1, ordering: .relaxed) }
    }

    /// Takes a key out.
    func take(_ key: ByteView) -> Holders? {
        let part = part(of: key)
        let key = key.array
        return count(out: part.lock.withLock { part.holders.removeValue(forKey: key) })
    }

    /// Takes out some key, one that has been in for long.
    func takeOne() -> (key: [UInt8], holders: Holders)? {
        let first = nextPart.wrappingAdd(1, ordering: .relaxed).oldValue
        for i in 0..<Self.partCount {
            let part = parts[(first + i) & (Self.partCount - 1)]
            if let found = part.lock.withLock({ part.oldest() }) {
                _ = count(out: found.holders)
                return found
            }
        }
        return nil
    }

    private func count(out holders: Holders?) -> Holders? {
        if let holders {
            keyTotal.wrappingSubtract(1, ordering: .relaxed)
            itemTotal.wrappingSubtract(holders.count, ordering: .relaxed)
        }
        return holders
    }

    func removeAll() {
        for part in parts {
            part.lock.withLock {
                keyTotal.wrappingSubtract(part.holders.count, ordering: .relaxed)
                for holders in part.holders.values { itemTotal.wrappingSubtract(holders.count, ordering: .relaxed) }
                part.holders.removeAll()
                part.order.removeAll()
                part.head = 0
            }
        }
    }
}
