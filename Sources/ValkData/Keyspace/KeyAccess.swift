// What a running command reads and writes keys with: encodes keys, hides expired ones, keeps the expiry index in step,
// and counts what INFO wants to know. Everything written goes into the batch only.
//
// One per loop and per worker, used by one thread at a time. Plain state lives behind a pointer; nothing is allocated
// in steady use. A transaction is one command or one EXEC: `start`, then `select` and the handlers, then either
// `abandon` (nothing happened) or, after the commit, `finished`.
//
// Prior knowledge: whoever looked a key up passes the `KeyState` on to `put` and `remove`, and the store keeps exact
// counts without reading. A blind SET passes nothing. An expired key is absent for commands but there for the counts:
// `KeyState` keeps both.

import Glibc
import ValkBase
import ValkEngine

package struct AccessState {
    /// Milliseconds since 1970; the same for a whole transaction.
    package var now: UInt64 = 0
    package var database: Int = 0
    /// Where `database` lives.
    package var namespace: UInt32 = 1
    /// Changes, as Redis counts them.
    package var dirty: Int = 0
    package var hits: Int = 0
    package var misses: Int = 0
    /// Expired keys that this transaction overwrote.
    package var expiredOverwritten: Int = 0
    /// Where commits that were made on the way (SCAN's bookmarks) end in the log: the reply should leave after it, as
    /// those of writes do. Zero when there were none.
    package var position = LogPosition.zero
    /// Something is in `KeyAccess.moved`. Here, because looking into a class's array costs more.
    var hasMoved = false
    /// Memory was taken from the arena.
    var hasAllocated = false
    /// The transaction wrote something; it may have taken it back.
    package var hasWritten = false
    /// Expired keys were noted.
    package var hasNoted = false
    /// Something is in `KeyAccess.touched`.
    var hasTouched = false
    /// Kinds of events that somebody asked for (KeyEvents).
    package var eventKinds: KeyEventKinds = []
    /// The transaction empties or exchanges databases.
    package var hasEmptied = false
    /// Reading and looking are no uses of a key (CLIENT NO-TOUCH).
    package var leavesUses = false
    /// The transaction has something to send when it is committed.
    package var hasOutgoing = false
}

/// What a writer learned of a key before it writes. The entry is valid until the next look-up.
package struct KeyState {
    /// Nil when the key is absent or expired.
    package var entry: UnsafePointer<Entry>?
    package var prior: Prior
    /// As stored, also when it has passed; 0 without.
    package var expireAt: UInt64
    /// Of a collection whose elements are entries of their own: its id (0 otherwise) and how many they are.
    var spreadID: UInt64 = 0
    var spreadCount = 0

    package init(entry: UnsafePointer<Entry>?, prior: Prior, expireAt: UInt64) {
        self.entry = entry
        self.prior = prior
        self.expireAt = expireAt
    }

    /// A key nobody looked up.
    package static var unknown: KeyState { KeyState(entry: nil, prior: .unknown, expireAt: 0) }
}

package final class KeyAccess {
    package let keyspace: Keyspace
    package let reader: StoreReader
    package let batch: WriteBatch
    package let state: UnsafeMutablePointer<AccessState>
    let scratch = KeyScratch()
    let elementScratch: ElementScratch
    let blockMaps = BlockMaps()
    private let elementMemory: UnsafeMutableRawPointer
    package let accesses: AccessTable
    /// `[namespace u32][length u32][user key]` of expired keys that were seen.
    var noted = ByteBuffer()
    /// The same while they are being removed.
    var removing = ByteBuffer()
    private var arena = ValueArena()
    /// The databases that this transaction has moved, and the namespaces they left.
    var moved: [(database: Int, namespace: UInt32)] = []
    /// Events that this transaction has collected.
    var events: [KeyEventRecord] = []
    var retired: [UInt32] = []

    /// `[namespace u32][length u32][user key]` of keys that were changed without their entries.
    var touched = ByteBuffer()

    package static let notedBytesMax = 64 << 10

    package init(_ keyspace: Keyspace, reader: StoreReader, batch: WriteBatch) {
        self.keyspace = keyspace
        self.reader = reader
        self.batch = batch
        accesses = keyspace.accesses
        elementMemory = .allocate(byteCount: ElementScratch.bytesMax, alignment: 16)
        elementScratch = ElementScratch(base: elementMemory)
        reader.batch = batch
        state = .allocate(capacity: 1)
        state.initialize(to: AccessState())
    }

    deinit {
        state.deallocate()
        scratch.deallocate()
        elementMemory.deallocate()
    }

    // MARK: Transactions

    /// Begins a transaction at `now`. A writer holds its stripes already. The batch is empty.
    @inline(__always)
    package func start(now: UInt64) {
        state.pointee.now = now
        state.pointee.dirty = 0
        state.pointee.hits = 0
        state.pointee.misses = 0
        state.pointee.expiredOverwritten = 0
        state.pointee.position = .zero
        reader.begin()
    }

    /// Works on `database` (in range) from here on.
    @inline(__always)
    package func select(_ database: Int) {
        state.pointee.database = database
        state.pointee.namespace = namespace(database)
    }

    /// Forgets what was written; the transaction may be started again.
    package func abandon() {
        batch.clear()
        if state.pointee.hasOutgoing { _ = takeEvents() }
        forget()
    }

    /// After a successful commit: makes moved databases known, frees what the batch referred to and empties the batch.
    package func finished() {
        if state.pointee.hasMoved {
            for move in moved { keyspace.publish(move.database, move.namespace) }
            for namespace in retired { keyspace.bookmarks.drop(namespace: namespace) }
        }
        if state.pointee.expiredOverwritten > 0 { keyspace.addExpired(state.pointee.expiredOverwritten) }
        if state.pointee.hasWritten {
            reader.noteCommit()
            batch.clear()
        }
        forget()
    }

    @inline(__always)
    private func forget() {
        reader.end()
        if state.pointee.hasAllocated { arena.reset() }
        if state.pointee.hasTouched {
            state.pointee.hasTouched = false
            touched.removeAll()
        }
        if state.pointee.hasMoved {
            moved.removeAll(keepingCapacity: true)
            retired.removeAll(keepingCapacity: true)
        }
        state.pointee.hasAllocated = false
        state.pointee.hasMoved = false
        state.pointee.hasEmptied = false
        state.pointee.hasWritten = false
    }

    // MARK: Reading

    @inline(__always)
    package func namespace(_ database: Int) -> UInt32 {
        if state.pointee.hasMoved {
            for move in moved.reversed() where move.database == database { return move.namespace }
        }
        return keyspace.namespace(database)
    }

    /// Whether `user` can be a key at all. Longer ones are absent for readers; writers refuse them.
    @inline(__always)
    package func fits(_ user: ByteView) -> Bool { user.count <= KeyEncoding.userKeyBytesMax }

    /// The live entry of a key of the selected database, nil when absent or expired.
    @inline(__always)
    package func find(_ user: ByteView) throws(Interruption) -> UnsafePointer<Entry>? {
        if !fits(user) { return nil }
        guard let entry = try reader.find(scratch.key(state.pointee.namespace, user)) else { return nil }
        if entry.pointee.expireAt != 0 && entry.pointee.expireAt <= state.pointee.now {
            note(state.pointee.namespace, user)
            return nil
        }
        return entry
    }

    /// As `find`, counted as a keyspace hit or miss, and as a use of the key.
    @inline(__always)
    package func read(_ user: ByteView) throws(Interruption) -> UnsafePointer<Entry>? {
        let entry = try find(user)
        if entry == nil {
            missed(user)
        } else {
            state.pointee.hits &+= 1
            if !state.pointee.leavesUses { accesses.touch(hashOfLast(user)) }
        }
        return entry
    }

    /// `user` as it was encoded last.
    @inline(__always)
    func encodedLast(_ user: ByteView) -> ByteView {
        ByteView(base: UnsafeRawPointer(scratch.base), count: user.count &+ KeyEncoding.prefixBytes)
    }

    @inline(__always)
    func hashOfLast(_ user: ByteView) -> UInt64 { encodedLast(user).hash64 }

    /// As `read`, but no use of the key.
    package func readUntouched(_ user: ByteView) throws(Interruption) -> UnsafePointer<Entry>? {
        let entry = try find(user)
        if entry == nil { missed(user) } else { state.pointee.hits &+= 1 }
        return entry
    }

    /// As `readUntouched`, without an event where there is nothing.
    package func readQuietly(_ user: ByteView) throws(Interruption) -> UnsafePointer<Entry>? {
        let entry = try find(user)
        if entry == nil { state.pointee.misses &+= 1 } else { state.pointee.hits &+= 1 }
        return entry
    }

    /// Counts a keyspace miss of a key that was looked up.
    @inline(__always)
    package func missed(_ user: ByteView) {
        state.pointee.misses &+= 1
        if state.pointee.eventKinds.contains(.miss) { notify(.keymiss, user) }
    }

    /// What a writer must know of a key of a namespace. A use of the key.
    package func look(_ user: ByteView, in namespace: UInt32) throws(Interruption) -> KeyState {
        let found = try examine(user, in: namespace)
        if found.entry != nil && !state.pointee.leavesUses { accesses.touch(hashOfLast(user)) }
        return found
    }

    /// As `look`, but no use of the key.
    package func examine(_ user: ByteView, in namespace: UInt32) throws(Interruption) -> KeyState {
        if !fits(user) { return KeyState(entry: nil, prior: .absent, expireAt: 0) }
        guard let entry = try reader.find(scratch.key(namespace, user)) else {
            return KeyState(entry: nil, prior: .absent, expireAt: 0)
        }
        let expireAt = entry.pointee.expireAt
        if expireAt != 0 && expireAt <= state.pointee.now {
            note(namespace, user)
            return KeyState(entry: nil, prior: .present(hadExpiry: true), expireAt: expireAt)
        }
        return known(entry)
    }

    /// What a writer knows of a key by its live entry.
    @inline(__always)
    func known(_ entry: UnsafePointer<Entry>) -> KeyState {
        let expireAt = entry.pointee.expireAt
        var found = KeyState(entry: entry, prior: .present(hadExpiry: expireAt != 0), expireAt: expireAt)
        if entry.pointee.tag & CollectionTag.spread != 0 { noteSpread(entry, &found) }
        return found
    }

    @inline(never)
    private func noteSpread(_ entry: UnsafePointer<Entry>, _ found: inout KeyState) {
        // Inline: entries of collections are short.
        let value = entry.pointee.value
        found.spreadID = Collection.spreadID(tag: entry.pointee.tag, value: value)
        if found.spreadID != 0 {
            found.spreadCount = Int(
                truncatingIfNeeded: UInt64(littleEndian: value.base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    package func look(_ user: ByteView) throws(Interruption) -> KeyState {
        try look(user, in: state.pointee.namespace)
    }

    @inline(__always)
    package func value(_ entry: UnsafePointer<Entry>) throws(Interruption) -> ByteView { try reader.value(entry) }

    /// The live keys of the selected database from user key `lower` on, before `upper` (nil: to the end). Expired ones
    /// are among them.
    package func cursor(from lower: ByteView, to upper: ByteView?) throws(Interruption) -> StoreCursor {
        let namespace = state.pointee.namespace
        let other = KeyScratch()
        defer { other.deallocate() }
        let low = scratch.key(namespace, lower.count <= KeyEncoding.userKeyBytesMax ? lower : lower[0..<65_535])
        let high: ByteView
        if let upper {
            high = other.key(namespace, upper.count <= KeyEncoding.userKeyBytesMax ? upper : upper[0..<65_535])
        } else {
            high = other.bound(namespace, KeySpace.keys + 1)
        }
        return try reader.cursor(lower: low, upper: high)
    }

    /// The position of `user` for a cursor of the selected database; valid until the next look-up.
    package func encoded(_ user: ByteView) -> ByteView { scratch.key(state.pointee.namespace, user) }

    @inline(__always)
    package func isExpired(_ entry: UnsafePointer<Entry>) -> Bool {
        entry.pointee.expireAt != 0 && entry.pointee.expireAt <= state.pointee.now
    }

    /// Remembers an expired key, so that the dispatcher removes it afterwards.
    @inline(never)
    package func note(_ namespace: UInt32, _ user: ByteView) {
        if noted.count + user.count + 8 > Self.notedBytesMax { return }
        state.pointee.hasNoted = true
        noted.appendFixed(namespace)
        noted.appendFixed(UInt32(user.count))
        noted.append(user)
    }

    // MARK: Writing

    /// Sets a key of the selected database. `value` stays valid until the commit, unless it is at most
    /// `WriteBatch.copiedValueBytesMax` bytes and does not come from the reader.
    @inline(__always)
    package func put(_ user: ByteView, tag: UInt8, expireAt: UInt64, value: ByteView, was: KeyState) {
        put(user, in: state.pointee.namespace, tag: tag, expireAt: expireAt, value: value, was: was)
    }

    package func put(
        _ user: ByteView, in namespace: UInt32, tag: UInt8, expireAt: UInt64, value: ByteView, was: KeyState
    ) {
        state.pointee.hasWritten = true
        if was.spreadID != 0 { retire(namespace, was) }
        batch.put(scratch.key(namespace, user), tag: tag, expireAt: expireAt, value: value, prior: was.prior)
        if was.entry == nil { accesses.touch(hashOfLast(user)) }
        if was.expireAt | expireAt != 0 { index(user, namespace, was, expireAt) }
        if was.entry == nil && state.pointee.eventKinds.contains(.new) { notify(.new, user, namespace: namespace) }
    }

    @inline(never)
    private func index(_ user: ByteView, _ namespace: UInt32, _ was: KeyState, _ expireAt: UInt64) {
        if was.expireAt != 0 {
            if was.expireAt <= state.pointee.now {
                state.pointee.expiredOverwritten += 1
                if state.pointee.eventKinds.contains(.expired) { notify(.expired, user, namespace: namespace) }
            }
            if was.expireAt == expireAt { return }
            batch.delete(scratch.expiry(namespace, was.expireAt, user), prior: .present(hadExpiry: false))
        }
        if expireAt != 0 {
            batch.put(
                scratch.expiry(namespace, expireAt, user), tag: 0, expireAt: 0, value: .empty, prior: .absent)
        }
    }

    /// Deletes a key that `look` found (expired or not).
    package func remove(_ user: ByteView, in namespace: UInt32, was: KeyState) {
        state.pointee.hasWritten = true
        if was.spreadID != 0 { retire(namespace, was) }
        batch.delete(scratch.key(namespace, user), prior: was.prior)
        accesses.forget(hashOfLast(user))
        if was.expireAt != 0 {
            batch.delete(scratch.expiry(namespace, was.expireAt, user), prior: .present(hadExpiry: false))
        }
    }

    package func remove(_ user: ByteView, was: KeyState) { remove(user, in: state.pointee.namespace, was: was) }

    /// `count` bytes that stay where they are until the transaction ends.
    package func allocate(_ count: Int) -> UnsafeMutableRawPointer {
        state.pointee.hasAllocated = true
        return arena.allocate(count)
    }

    /// A value from the reader, safe to write again in this transaction: own writes that are read back lie in the
    /// batch, which moves when it grows.
    package func stable(_ value: ByteView) -> ByteView {
        if batch.isEmpty || value.isEmpty { return value }
        let copy = allocate(value.count)
        memcpy(copy, value.base, value.count)
        return ByteView(base: copy, count: value.count)
    }

    /// A key was changed although its entry was not written.
    func noteTouched(_ user: ByteView, in namespace: UInt32) {
        state.pointee.hasTouched = true
        touched.appendFixed(namespace)
        touched.appendFixed(UInt32(user.count))
        touched.append(user)
    }

    package func changed(_ n: Int = 1) { state.pointee.dirty &+= n }
}
