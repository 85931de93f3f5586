// Whole databases: emptied, exchanged, counted. Who empties or exchanges holds every stripe; other threads see it when
// the dispatcher calls `finished` after the commit.

import Glibc
import ValkBase
import ValkEngine

extension KeyAccess {
    /// Empties databases. Returns the keys they had, as far as they are known without reading.
    package func flush(_ databases: Range<Int>) -> Int {
        // Only writes from before may lie in a database that the store calls empty.
        let hasWritten = !batch.isEmpty
        // Also where nothing was: so it is told.
        state.pointee.hasWritten = true
        state.pointee.hasEmptied = true
        var keys = 0
        for database in databases { keys += flush(database, hasWritten) }
        return keys
    }

    private func flush(_ database: Int, _ hasWritten: Bool) -> Int {
        let old = namespace(database)
        let counts = keyspace.store.counts(namespace: old)
        if !hasWritten && counts.keys == 0 && counts.unknown == 0 && counts.expires == 0 { return 0 }
        let fresh = keyspace.takeNamespace()
        move(database, to: fresh)
        let next = allocate(4)
        next.storeBytes(of: (fresh &+ 1).bigEndian, as: UInt32.self)
        batch.put(
            scratch.bound(0, KeySpace.nextNamespace), tag: 0, value: ByteView(base: next, count: 4), prior: .unknown)
        let other = KeyScratch()
        defer { other.deallocate() }
        batch.deleteRange(scratch.namespaceBound(old), other.namespaceBound(old &+ 1))
        if keyspace.bookmarks.has(namespace: old) {
            batch.deleteRange(scratch.bookmarkBound(old), other.bookmarkBound(old &+ 1))
        }
        retired.append(old)
        return Int(max(0, counts.keys))
    }

    package func swap(_ a: Int, _ b: Int) {
        state.pointee.hasEmptied = true
        let first = namespace(a)
        let second = namespace(b)
        move(a, to: second)
        move(b, to: first)
    }

    private func move(_ database: Int, to namespace: UInt32) {
        let value = allocate(4)
        value.storeBytes(of: namespace.bigEndian, as: UInt32.self)
        state.pointee.hasWritten = true
        batch.put(scratch.database(database), tag: 0, value: ByteView(base: value, count: 4), prior: .unknown)
        moved.append((database, namespace))
        state.pointee.hasMoved = true
        if state.pointee.database == database { state.pointee.namespace = namespace }
    }

    /// Every key, as users see it, that this transaction has written, or whose elements it has; one may come twice.
    package func forEachWrittenKey(_ body: (_ namespace: UInt32, _ user: ByteView) -> Void) {
        batch.forEachKey { key in
            if KeyEncoding.isUserKey(key) { body(KeyEncoding.namespace(key), KeyEncoding.userKey(key)) }
        }
        if !state.pointee.hasTouched { return }
        let all = touched.view
        var at = 0
        while at < all.count {
            let base = all.base + at
            let namespace = UInt32(littleEndian: base.loadUnaligned(as: UInt32.self))
            let length = Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
            body(namespace, ByteView(base: base + 8, count: length))
            at += 8 + length
        }
    }

    /// Whether this transaction has emptied or exchanged databases, however empty they were.
    package var hasEmptied: Bool { state.pointee.hasEmptied }

    /// Whether this transaction empties or swaps databases.
    package var hasMoved: Bool { state.pointee.hasMoved }

    /// Whether `namespace` is where `database` was before this transaction or at some time in it.
    package func hasLived(_ database: Int, in namespace: UInt32) -> Bool {
        if keyspace.namespace(database) == namespace { return true }
        return hasMoved && moved.contains { $0.database == database && $0.namespace == namespace }
    }

    /// Whether this transaction moves `database` and `user` is a live key of where it was or of where it comes to be,
    /// without regard to what the transaction writes itself.
    package func moveConcerns(_ user: [UInt8], _ database: Int) throws(Interruption) -> Bool {
        var namespaces = moved.filter { $0.database == database }.map(\.namespace)
        if namespaces.isEmpty { return false }
        namespaces.append(keyspace.namespace(database))
        reader.batch = nil
        defer { reader.batch = batch }
        return try user.withViewTyped { view throws(Interruption) in
            for namespace in namespaces where try look(view, in: namespace).entry != nil { return true }
            return false
        }
    }

    /// Keys of the selected database, this transaction's own changes included, without the expired ones that were met
    /// and are about to be removed. Never waits on a loop.
    package func keyCount() throws(Interruption) -> Int {
        let namespace = state.pointee.namespace
        reader.dependsOnAll()
        var counts = keyspace.store.counts(namespace: namespace)
        if counts.unknown != 0 {
            if !reader.mayBlock { throw .wouldBlock }
            counts = try keyspace.exactCounts(namespace: namespace)
        }
        var keys = Int(max(0, counts.keys))
        if !batch.isEmpty { keys += try ownCount(namespace) }
        if state.pointee.hasNoted { keys -= try notedCount(namespace) }
        return keys
    }

    /// How much the batch changes the number of keys of `namespace`: every key in it is looked up with and without it.
    private func ownCount(_ namespace: UInt32) throws(Interruption) -> Int {
        var own = Set<[UInt8]>()
        batch.forEachKey { key in
            if KeyEncoding.isUserKey(key) && KeyEncoding.namespace(key) == namespace { own.insert(key.array) }
        }
        var difference = 0
        defer { reader.batch = batch }
        for key in own {
            reader.batch = batch
            if try find(key) { difference += 1 }
            reader.batch = nil
            if try find(key) { difference -= 1 }
        }
        return difference
    }

    private func find(_ encoded: [UInt8]) throws(Interruption) -> Bool {
        let copy = allocate(encoded.count)
        encoded.withUnsafeBytes { copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: $0.count) }
        return try reader.find(ByteView(base: copy, count: encoded.count)) != nil
    }
}
