// Giving back the space of expired keys and of expired fields of hashes. Readers never depend on it: for them a key or
// a field is gone at its millisecond.
//
// Two ways lead here. Commands note expired keys that they met, and hashes of which they met expired fields;
// `KeyAccess.removeNoted` removes those after the command. And a timer calls `expireSome`, which walks the expiry
// index, then the index of fields' times (FieldTimes), each from its start to now. An index entry that no longer agrees
// with its key (a blind SET replaced it, or it got another time) is stale and only removed itself.
//
// Who removes a key holds its stripe, looks again, and commits before letting go. The stripes are the dispatcher's: it
// passes a try-lock and an unlock. A key whose stripe is taken is left for later.
//
// The walk would meet the remains of all entries deleted before, so it starts where the last walk ended, less a margin
// for batches that were under way then; once a minute it starts from the beginning.

import ValkBase
import ValkEngine

package struct ExpireProgress: Sendable {
    /// Keys removed.
    package var removed = 0
    /// Fields of hashes removed.
    package var removedFields = 0
    /// Index entries looked at.
    package var examined = 0
    /// The budget ended the walk: call again soon.
    package var isMoreLeft = false
}

/// State of the expiry walk; one per caller thread.
package final class ExpiryWalk {
    /// Entries that become due while a batch is under way are found again within this time.
    private static let marginMilliseconds: UInt64 = 1_000
    private static let fullWalkMilliseconds: UInt64 = 60_000
    private static let batchKeys = 64

    private let keyspace: Keyspace
    private let reader: StoreReader
    private let batch = WriteBatch()
    private let scratch = KeyScratch()
    private let bound = KeyScratch()
    /// Removes fields. A reader of its own, because the walk goes on in the other one.
    private let hashes: KeyAccess
    /// The database to begin with, so that a small budget serves all in turn.
    private var firstDatabase = 0
    private var lastFullWalk: UInt64 = 0
    /// Stripes held, one bit each.
    private var held: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// `reader` may block or not; it is used by this walk alone.
    package init(_ keyspace: Keyspace, reader: StoreReader) {
        self.keyspace = keyspace
        self.reader = reader
        hashes = KeyAccess(
            keyspace, reader: StoreReader(keyspace.store, mayBlock: reader.mayBlock), batch: WriteBatch())
    }

    deinit {
        scratch.deallocate()
        bound.deallocate()
    }

    /// Keeps no old tables and files alive until the next walk.
    package func rest() {
        reader.rest()
        hashes.reader.rest()
    }

    /// Removes what is due at `now`, looking at no more than about `budget` index entries and stopping soon after
    /// `deadline` (monotonic nanoseconds). `onRemoved`: told which keys have gone and which hashes have lost fields,
    /// before their stripes are let go.
    package func expireSome(
        now: UInt64, budget: Int, deadline: UInt64 = UInt64.max, tryLock: (Int) -> Bool, unlock: (Int) -> Void,
        onRemoved: (([KeyEventRecord]) -> Void)? = nil
    ) throws(Interruption) -> ExpireProgress {
        var progress = ExpireProgress()
        if now > lastFullWalk + Self.fullWalkMilliseconds {
            lastFullWalk = now
            for i in 0..<keyspace.databaseCount {
                keyspace.swept[i] = 0
                keyspace.sweptFields[i] = 0
            }
        }
        let count = keyspace.databaseCount
        let first = firstDatabase
        for i in 0..<count {
            let database = (first + i) % count
            let counts = keyspace.counts(database)
            if counts.keys <= 0 && counts.unknown == 0 && counts.expires <= 0 { continue }
            var isDone = true
            for index in [Index.keys, .fields] where isDone {
                if index == .keys && counts.expires <= 0 && counts.unknown == 0 && keyspace.swept[database] != 0 {
                    continue
                }
                isDone = try walk(
                    index, database, now, budget - progress.examined, deadline, &progress, tryLock, unlock, onRemoved)
            }
            if !isDone {
                firstDatabase = database
                progress.isMoreLeft = true
                return progress
            }
        }
        firstDatabase = (first + 1) % count
        return progress
    }

    private enum Index {
        case keys
        case fields
    }

    /// Returns whether everything due in `database` has been dealt with.
    private func walk(
        _ index: Index, _ database: Int, _ now: UInt64, _ budget: Int, _ deadline: UInt64,
        _ progress: inout ExpireProgress, _ tryLock: (Int) -> Bool, _ unlock: (Int) -> Void,
        _ onRemoved: (([KeyEventRecord]) -> Void)?
    ) throws(Interruption) -> Bool {
        let namespace = keyspace.namespace(database)
        let space = index == .keys ? KeySpace.expiry : KeySpace.fieldTimes
        let swept = (index == .keys ? keyspace.swept : keyspace.sweptFields) + database
        let margin = now > Self.marginMilliseconds ? now - Self.marginMilliseconds : 1
        reader.begin()
        defer { reader.end() }
        let cursor = try reader.cursor(
            lower: scratch.timed(namespace, space, swept.pointee, .empty),
            upper: bound.timed(namespace, space, now + 1, .empty))
        try cursor.seekToFirst()
        var left = budget
        var skipped = false
        var reached: UInt64 = 0
        while cursor.isValid {
            if left <= 0 || Monotonic.nanoseconds() > deadline {
                if !skipped { swept.pointee = max(swept.pointee, min(reached, margin)) }
                return false
            }
            // A few at a time, so that stripes are held briefly.
            var pending: [[UInt8]] = []
            while cursor.isValid && pending.count < Self.batchKeys && left > 0 {
                pending.append(cursor.key.array)
                reached = cursor.key.base.bigEndian(5, UInt64.self)
                left -= 1
                try cursor.next()
            }
            progress.examined += pending.count
            let isDone =
                index == .keys
                ? try remove(pending, database, namespace, &progress, tryLock, unlock, onRemoved)
                : try removeFields(
                    pending, database, namespace, now, deadline, &progress, tryLock, unlock, onRemoved)
            if !isDone { skipped = true }
        }
        if !skipped { swept.pointee = margin }
        return true
    }

    /// Removes what is due of the hashes of index entries whose stripes are free; false if something is left.
    private func removeFields(
        _ entries: [[UInt8]], _ database: Int, _ namespace: UInt32, _ now: UInt64, _ deadline: UInt64,
        _ progress: inout ExpireProgress, _ tryLock: (Int) -> Bool, _ unlock: (Int) -> Void,
        _ onRemoved: (([KeyEventRecord]) -> Void)?
    ) throws(Interruption) -> Bool {
        defer { letGo(unlock) }
        var all = true
        hashes.reader.mayBlock = reader.mayBlock
        for entry in entries {
            let key = Array(entry.dropFirst(KeyEncoding.expiryPrefixBytes))
            if !take(key.withView { Stripes.index(of: $0) }, tryLock) {
                all = false
                continue
            }
            if keyspace.namespace(database) != namespace { return true }
            var time: UInt64? = entry.withView { $0.base.bigEndian(5, UInt64.self) }
            while let at = time {
                let due = try key.withViewTyped { user throws(Interruption) in
                    try hashes.removeDueFields(user, in: namespace, at: at, now: now)
                }
                // Expired keys are for the walk over the other index.
                hashes.dropNoted()
                progress.removedFields += due.removed
                if let onRemoved, due.removed > 0 {
                    var events = [KeyEventRecord(.hexpired, database: database, key: key)]
                    if due.isGone { events.append(KeyEventRecord(.del, database: database, key: key)) }
                    onRemoved(events)
                }
                time = due.timeOfMore
                if time != nil && Monotonic.nanoseconds() > deadline {
                    all = false
                    break
                }
            }
            letGo(unlock)
        }
        return all
    }

    /// Removes the keys of index entries whose stripes are free; false if some were not.
    private func remove(
        _ entries: [[UInt8]], _ database: Int, _ namespace: UInt32, _ progress: inout ExpireProgress,
        _ tryLock: (Int) -> Bool, _ unlock: (Int) -> Void, _ onRemoved: (([KeyEventRecord]) -> Void)?
    ) throws(Interruption) -> Bool {
        defer { letGo(unlock) }
        var removed = 0
        var all = true
        var owned: [[UInt8]] = []
        var events: [KeyEventRecord] = []
        for entry in entries {
            let stripe = entry.withView { Stripes.index(of: $0.dropFirst(KeyEncoding.expiryPrefixBytes)) }
            if take(stripe, tryLock) { owned.append(entry) } else { all = false }
        }
        // Only now, with the stripes held: the database may have moved, and keys may have changed.
        if keyspace.namespace(database) != namespace { return true }
        batch.clear()
        defer { batch.clear() }
        reader.begin()
        for entry in owned {
            removed += try entry.withViewTyped { view throws(Interruption) in
                let user = view.dropFirst(KeyEncoding.expiryPrefixBytes)
                let expireAt = view.base.bigEndian(5, UInt64.self)
                let key = scratch.key(namespace, user)
                let found = try reader.find(key)
                batch.delete(view, prior: .present(hadExpiry: false))
                guard let found, found.pointee.expireAt == expireAt else { return 0 }
                batch.delete(key, prior: .present(hadExpiry: true))
                if onRemoved != nil { events.append(KeyEventRecord(.expired, database: database, key: user.array)) }
                return 1
            }
        }
        if !batch.isEmpty { _ = try keyspace.store.commit(batch, mayBlock: reader.mayBlock) }
        if let onRemoved, !events.isEmpty { onRemoved(events) }
        keyspace.addExpired(removed)
        progress.removed += removed
        return all
    }

    private func take(_ stripe: Int, _ tryLock: (Int) -> Bool) -> Bool {
        let bit = UInt64(1) << UInt64(stripe & 63)
        return withUnsafeMutableBytes(of: &held) { raw in
            let words = raw.assumingMemoryBound(to: UInt64.self)
            if words[stripe >> 6] & bit != 0 { return true }
            if !tryLock(stripe) { return false }
            words[stripe >> 6] |= bit
            return true
        }
    }

    private func letGo(_ unlock: (Int) -> Void) {
        let words = [held.0, held.1, held.2, held.3]
        held = (0, 0, 0, 0)
        for (i, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                unlock(i * 64 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
    }
}

extension KeyAccess {
    /// Whether commands met expired keys since the last `removeNoted`.
    @inline(__always)
    package var hasNoted: Bool { state.pointee.hasNoted }

    /// Removes the expired keys that commands met, and what is due of hashes of which they met expired fields, where
    /// the stripe is free. Call between transactions, holding no stripe. `onRemoved` is told of each key that has gone
    /// or was changed, before its stripe is let go. Returns how many keys were removed.
    package func removeNoted(
        now: UInt64, tryLock: (Int) -> Bool, unlock: (Int) -> Void, onRemoved: (ByteView) -> Void = { _ in }
    ) throws(Interruption) -> Int {
        var removed = 0
        // Looking a key up notes it again, so the list is read from a second buffer.
        Swift.swap(&noted, &removing)
        defer {
            noted.removeAll()
            removing.removeAll()
            state.pointee.hasNoted = false
            keyspace.addExpired(removed)
        }
        var at = 0
        while let (namespace, user) = KeyAccess.nextNoted(in: removing.view, &at) {
            let stripe = Stripes.index(of: user)
            if !tryLock(stripe) { continue }
            defer { unlock(stripe) }
            if try removeExpired(user, namespace, now) {
                removed += 1
                onRemoved(user)
            } else if try removeDueFields(user, in: namespace, at: nil, now: now).removed > 0 {
                onRemoved(user)
            }
        }
        return removed
    }

    /// Leaves what was noted to others.
    package func dropNoted() {
        noted.removeAll()
        state.pointee.hasNoted = false
    }

    /// The noted key at `at`, which moves on to the next one; nil at the end.
    private static func nextNoted(in list: ByteView, _ at: inout Int) -> (namespace: UInt32, user: ByteView)? {
        guard at < list.count else { return nil }
        let base = list.base + at
        let namespace = UInt32(littleEndian: base.loadUnaligned(as: UInt32.self))
        let length = Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        at += 8 + length
        return (namespace, ByteView(base: base + 8, count: length))
    }

    /// How many keys of `namespace` are noted and still there, expired as they were.
    func notedCount(_ namespace: UInt32) throws(Interruption) -> Int {
        var users = Set<[UInt8]>()
        var at = 0
        while let (home, user) = KeyAccess.nextNoted(in: noted.view, &at) {
            if home == namespace { users.insert(user.array) }
        }
        // Looking a key up notes it again.
        let length = noted.count
        defer { noted.truncate(length) }
        var count = 0
        for user in users {
            let found = try user.withViewTyped { view throws(Interruption) in try look(view, in: namespace) }
            if found.entry == nil && found.expireAt != 0 { count += 1 }
        }
        return count
    }

    private func removeExpired(_ user: ByteView, _ namespace: UInt32, _ now: UInt64) throws(Interruption) -> Bool {
        start(now: now)
        do throws(Interruption) {
            let found = try look(user, in: namespace)
            let isDue = found.entry == nil && found.expireAt != 0
            if isDue {
                remove(user, in: namespace, was: found)
                _ = try keyspace.store.commit(batch, mayBlock: reader.mayBlock)
                if state.pointee.eventKinds.contains(.expired) { notify(.expired, user, namespace: namespace) }
            }
            finished()
            return isDue
        } catch {
            abandon()
            throw error
        }
    }
}

extension Array where Element == UInt8 {
    /// As `withView`, with typed throws.
    package func withViewTyped<R>(_ body: (ByteView) throws(Interruption) -> R) throws(Interruption) -> R {
        var fault: Interruption?
        let result: R? = withUnsafeBytes { raw in
            do throws(Interruption) {
                return try body(ByteView(raw))
            } catch {
                fault = error
                return nil
            }
        }
        if let result { return result }
        throw fault ?? .damaged
    }
}
