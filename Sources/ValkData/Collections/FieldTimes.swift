// Fields of hashes that expire, and how those that are due are found without looking at the others.
//
// A field's expiry is its element's. Two indexes lead to what is due:
//
//   space 9   [time][user key]             one entry for each hash that has (or had) fields with an expiry. The time
//                                          stands in the hash's entry, too (`extra[0]`): never after the earliest
//                                          field's, earlier when that field has gone since. 0: no field has an expiry.
//   kind 2    [time][field]                of a spread hash: each field with an expiry, in order. Packed ones are
//                                          walked.
//
// Both are written in the batch that gives a field its expiry. Whoever changes or removes a field with an expiry
// removes its entry of kind 2; the entry of space 9 stays until its time comes, and is replaced only by an earlier one.
// DEL, RENAME, SET and their like leave it behind: an entry whose hash is not there or names another time is stale, and
// removed when it is met. What is kept under the collection's id dies with the collection.

import ValkBase
import ValkEngine

extension KeyAccess {
    // MARK: Changes

    /// Sets a field, whose key is `key`, and its expiry, 0 for none. `old` is what is there, expired or not. The caller
    /// keeps `count`.
    @inline(__always)
    package func putField(
        _ hash: inout Collection, _ key: ElementKey, _ field: ByteView, _ value: ByteView, expireAt: UInt64 = 0,
        old: Element?
    ) throws(Interruption) {
        let before = old?.expireAt ?? 0
        try put(&hash, key, value, expireAt: expireAt, isNew: old == nil)
        if before != expireAt { moveFieldTime(&hash, field, from: before, to: expireAt) }
    }

    /// Removes a field that is there. The caller keeps `count`.
    package func removeField(_ hash: inout Collection, _ field: ByteView, old: Element) {
        let before = old.expireAt
        remove(&hash, element.member(field))
        if before != 0 { moveFieldTime(&hash, field, from: before, to: 0) }
    }

    @inline(never)
    private func moveFieldTime(_ hash: inout Collection, _ field: ByteView, from old: UInt64, to new: UInt64) {
        if hash.isSpread && old != 0 {
            batch.delete(
                elementBound(field.count).score(old, field).encoded(hash.namespace, hash.id),
                prior: .present(hadExpiry: false))
        }
        if new == 0 { return }
        if hash.isSpread { putFieldTime(hash, new, field) }
        if hash.extra[0] == 0 || new < hash.extra[0] { hash.extra[0] = new }
    }

    /// The entry of kind 2 of a spread hash's field.
    func putFieldTime(_ hash: borrowing Collection, _ time: UInt64, _ field: ByteView) {
        batch.put(
            elementBound(field.count).score(time, field).encoded(hash.namespace, hash.id), tag: 0, value: .empty,
            prior: .absent)
    }

    /// Brings space 9 in step with what a hash is about to be saved with.
    func indexFieldTimes(_ hash: inout Collection, _ user: ByteView) {
        let time = hash.extra[0]
        if time == hash.indexedAt { return }
        if hash.indexedAt != 0 {
            batch.delete(
                scratch.timed(hash.namespace, KeySpace.fieldTimes, hash.indexedAt, user),
                prior: .present(hadExpiry: false))
        }
        if time != 0 { putFieldIndex(user, hash.namespace, time) }
        hash.indexedAt = time
    }

    private func putFieldIndex(_ user: ByteView, _ namespace: UInt32, _ time: UInt64) {
        state.pointee.hasWritten = true
        batch.put(
            scratch.timed(namespace, KeySpace.fieldTimes, time, user), tag: 0, value: .empty, prior: .unknown)
    }

    /// For whoever writes a collection's entry under another key: that key's own entry in space 9, if it needs one.
    package func indexFieldTimes(of value: ByteView, tag: UInt8, as user: ByteView, in namespace: UInt32) {
        guard tag & 0x0F == ValueType.hash.rawValue, value.count >= Collection.headerBytes(.hash) else { return }
        let time = UInt64(littleEndian: value.base.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        if time != 0 { putFieldIndex(user, namespace, time) }
    }

    // MARK: What is due

    /// What became of a hash whose time in space 9 had come.
    struct DueFields {
        var removed = 0
        /// The hash is gone with its last field.
        var isGone = false
        /// More fields are due, and the hash is now listed under the time of the first of them.
        var timeOfMore: UInt64?
    }

    private static var dueFieldsMax: Int { 512 }

    /// Remembers that a field of the hash `user` was met whose time has passed: `removeNoted` removes it.
    @inline(never)
    package func noteDueField(_ user: ByteView) { note(state.pointee.namespace, user) }

    /// A transaction of its own: removes fields of the hash `user` that are due at `now`, some hundreds at most. `time`
    /// is what space 9 has, nil where the key itself was met. The key's stripe is held.
    func removeDueFields(
        _ user: ByteView, in namespace: UInt32, at time: UInt64?, now: UInt64
    ) throws(Interruption) -> DueFields {
        start(now: now)
        state.pointee.namespace = namespace
        do throws(Interruption) {
            let due = try removeDueFields(user, namespace, time)
            if !batch.isEmpty { _ = try keyspace.store.commit(batch, mayBlock: reader.mayBlock) }
            if due.removed > 0 && state.pointee.eventKinds.contains(.hash) {
                notify(.hexpired, user, namespace: namespace)
            }
            if due.isGone && state.pointee.eventKinds.contains(.generic) { notify(.del, user, namespace: namespace) }
            finished()
            return due
        } catch {
            abandon()
            throw error
        }
    }

    private func removeDueFields(
        _ user: ByteView, _ namespace: UInt32, _ time: UInt64?
    ) throws(Interruption) -> DueFields {
        var due = DueFields()
        let was = try examine(user, in: namespace)
        guard was.entry != nil, case .collection(var hash) = try opened(was, .hash, isChanged: true),
            time.map({ $0 == hash.extra[0] }) ?? (hash.extra[0] != 0 && hash.extra[0] <= state.pointee.now)
        else {
            if let time {
                state.pointee.hasWritten = true
                batch.delete(
                    scratch.timed(namespace, KeySpace.fieldTimes, time, user), prior: .present(hadExpiry: false))
            }
            return due
        }
        var fields = MemberList()
        let earliest = try gatherDue(hash, &fields)
        try fields.forEach { item throws(Interruption) in
            let time = item.base.bigEndian(0, UInt64.self)
            let field = item.dropFirst(8)
            if let old = try find(hash, element.member(field)), old.expireAt == time {
                removeField(&hash, field, old: old)
                hash.count -= 1
                due.removed += 1
            } else {
                moveFieldTime(&hash, field, from: time, to: 0)
            }
        }
        hash.extra[0] = earliest
        if earliest != 0 && earliest <= state.pointee.now { due.timeOfMore = earliest }
        due.isGone = try save(&hash, at: user)
        return due
    }

    /// Gathers what is due, each as [time u64 BE][field]; returns the earliest time that is left, 0 when there is none.
    private func gatherDue(_ hash: borrowing Collection, _ fields: inout MemberList) throws(Interruption) -> UInt64 {
        let now = state.pointee.now
        var earliest: UInt64 = 0
        if !hash.isSpread {
            var offset = 0
            while offset < hash.packed.count {
                let place = hash.packed.place(at: offset)
                let time = place.element.expireAt
                if time != 0 && time <= now {
                    let field = place.key.dropFirst(ElementKey.memberPrefixBytes)
                    fields.append(elementBound(field.count).score(time, field).bytes.dropFirst(1))
                } else if time != 0 && (earliest == 0 || time < earliest) {
                    earliest = time
                }
                offset = place.end
            }
            return earliest
        }
        var walk = try ElementWalk(self, hash, ElementKind.time)
        try walk.seekToFirst()
        while walk.isValid {
            let key = walk.key
            let time = key.base.bigEndian(1, UInt64.self)
            if time > now || fields.count == Self.dueFieldsMax { return time }
            fields.append(key.dropFirst(1))
            try walk.next()
        }
        return 0
    }
}
