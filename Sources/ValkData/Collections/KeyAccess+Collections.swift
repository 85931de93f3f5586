// Collections for commands: opened, changed element by element, saved. What is read is what the transaction wrote.
//
// Use: `collection` (readers) or `collectionToChange` (writers), any number of looks and changes, then `save` once if
// anything was changed. A collection without elements is no key: `save` removes it. Only one `Collection` of a key may
// be open for changes at a time. Element keys come from `element` (valid until its next use) or `elementBound`.

import ValkBase
import ValkEngine

/// What is at a key that should hold a collection.
package enum Opened {
    case collection(Collection)
    case wrongType
}

extension KeyAccess {
    // MARK: Opening

    /// For readers: counted as a hit or miss, and as a use. Of a key that is absent: an empty collection.
    package func collection(_ user: ByteView, _ type: ValueType) throws(Interruption) -> Opened {
        if let entry = recall(user) {
            state.pointee.hits &+= 1
            return try opened(KeyState(entry: entry, prior: .unknown, expireAt: entry.pointee.expireAt), type)
        }
        guard let entry = try read(user) else {
            return .collection(
                Collection(type, state.pointee.namespace, KeyState(entry: nil, prior: .absent, expireAt: 0)))
        }
        remember(entry, user)
        return try opened(KeyState(entry: entry, prior: .unknown, expireAt: entry.pointee.expireAt), type)
    }

    /// The entry of the spread collection at `user`, if it is the one that the reader remembers. A use of the key.
    @inline(__always)
    private func recall(_ user: ByteView) -> UnsafePointer<Entry>? {
        guard fits(user), let (entry, hash) = reader.recall(scratch.key(state.pointee.namespace, user)),
            !isExpired(entry)
        else { return nil }
        if !state.pointee.leavesUses { accesses.touch(hash) }
        return entry
    }

    /// Has the reader remember the entry that was just found at `user`, if its elements are elsewhere.
    @inline(__always)
    private func remember(_ entry: UnsafePointer<Entry>, _ user: ByteView) {
        if entry.pointee.tag & CollectionTag.spread == 0 { return }
        reader.remember(entry, encodedLast(user), hashOfLast(user))
    }

    /// For commands to come: the id of the spread collection at the encoded key `key`, 0 when there is none there or it
    /// would have to be waited for. Between commands only.
    package func spreadID(atEncoded key: ByteView) -> UInt64 {
        reader.begin()
        defer { reader.end() }
        if let known = reader.recall(key) {
            return Collection.spreadID(tag: known.entry.pointee.tag, value: known.entry.pointee.value)
        }
        let found: UnsafePointer<Entry>?
        do throws(Interruption) { found = try reader.find(key) } catch { return 0 }
        guard let found, found.pointee.tag & CollectionTag.spread != 0, !found.pointee.isSeparated else { return 0 }
        reader.remember(found, key, key.hash64)
        return Collection.spreadID(tag: found.pointee.tag, value: found.pointee.value)
    }

    /// For writers, who hold the key's stripe. A use of the key.
    package func collectionToChange(_ user: ByteView, _ type: ValueType) throws(Interruption) -> Opened {
        if let entry = recall(user) { return try opened(known(entry), type, isChanged: true) }
        let was = try look(user)
        if let entry = was.entry { remember(entry, user) }
        if was.entry == nil { return .collection(Collection(type, state.pointee.namespace, was)) }
        return try opened(was, type, isChanged: true)
    }

    /// For writers who put a new collection in the place of whatever is at the key.
    package func freshCollection(_ user: ByteView, _ type: ValueType) throws(Interruption) -> Collection {
        Collection(type, state.pointee.namespace, try look(user))
    }

    /// For readers who take several types: the collection of an entry that they have just found, which is of `type`.
    package func collection(
        _ entry: UnsafePointer<Entry>, _ type: ValueType
    ) throws(Interruption) -> Collection {
        let was = KeyState(entry: entry, prior: .unknown, expireAt: entry.pointee.expireAt)
        guard case .collection(let collection) = try opened(was, type) else { throw .damaged }
        return collection
    }

    func opened(
        _ was: KeyState, _ type: ValueType, isChanged: Bool = false
    ) throws(Interruption) -> Opened {
        guard let entry = was.entry else { return .wrongType }
        let tag = entry.pointee.tag
        guard tag & 0x0F == type.rawValue else { return .wrongType }
        // The packed elements of what the transaction wrote itself would move while it writes on.
        let value = isChanged ? stable(try value(entry)) : try value(entry)
        guard let collection = Collection(type, state.pointee.namespace, was, tag: tag, value: value) else {
            throw .damaged
        }
        return .collection(collection)
    }

    // MARK: Elements

    /// Room for one element's key.
    package var element: ElementScratch { elementScratch }

    /// Room of its own for a key of up to `bytes` bytes behind its kind and number, valid until the transaction ends.
    package func elementBound(_ bytes: Int = 0) -> ElementScratch {
        ElementScratch(base: allocate(ElementKey.prefixBytes + ElementScratch.headBytes + bytes + 1))
    }

    /// Whether `bytes` can be a field or a member: the same limit as for keys.
    @inline(__always)
    package func fitsElement(_ bytes: ByteView) -> Bool { bytes.count <= KeyEncoding.userKeyBytesMax }

    /// The element at `key`, expired or not; nil when there is none.
    package func find(_ collection: borrowing Collection, _ key: ElementKey) throws(Interruption) -> Element? {
        if !collection.isSpread { return collection.packed.find(key.bytes) }
        guard let entry = try reader.find(key.encoded(collection.namespace, collection.id)) else { return nil }
        let expireAt = entry.pointee.expireAt
        return Element(value: try reader.value(entry), expireAt: expireAt)
    }

    /// Whether there is an element at `key`, expired or not. Reads no value.
    package func has(_ collection: borrowing Collection, _ key: ElementKey) throws(Interruption) -> Bool {
        if !collection.isSpread { return collection.packed.find(key.bytes) != nil }
        return try reader.find(key.encoded(collection.namespace, collection.id)) != nil
    }

    /// Sets an element; `isNew` says whether there was none. The value as in `KeyAccess.put`. The caller keeps `count`.
    package func put(
        _ collection: inout Collection, _ key: ElementKey, _ value: ByteView, expireAt: UInt64 = 0, isNew: Bool
    ) throws(Interruption) {
        let element = Element(value: value, expireAt: expireAt)
        if !collection.isSpread {
            let size = PackedElements.size(key.bytes, element)
            let header = Collection.headerBytes(collection.type)
            if header + collection.packed.count + size <= Collection.packedBytesMax {
                return collection.packed.put(key.bytes, element, self)
            }
            try spread(&collection)
        }
        state.pointee.hasWritten = true
        collection.hasChangedElements = true
        batch.put(
            key.encoded(collection.namespace, collection.id), tag: 0, expireAt: expireAt, value: value,
            prior: isNew ? .absent : .present(hadExpiry: false))
    }

    /// Removes an element that is there. The caller keeps `count`.
    package func remove(_ collection: inout Collection, _ key: ElementKey) {
        if !collection.isSpread {
            _ = collection.packed.remove(key.bytes, self)
            return
        }
        state.pointee.hasWritten = true
        collection.hasChangedElements = true
        batch.delete(
            key.encoded(collection.namespace, collection.id), prior: .present(hadExpiry: false))
    }

    /// Gives each element an entry of its own.
    private func spread(_ collection: inout Collection) throws(Interruption) {
        collection.id = try keyspace.takeCollectionID(mayBlock: reader.mayBlock)
        collection.tag |= CollectionTag.spread
        let packed = collection.packed
        collection.packed = PackedElements(.empty, headerBytes: Collection.headerBytes(collection.type))
        state.pointee.hasWritten = true
        // The key in the scratch is the caller's and still needed.
        let scratch = elementBound(Collection.packedBytesMax)
        var offset = 0
        while offset < packed.count {
            let place = packed.place(at: offset)
            batch.put(
                scratch.copy(place.key).encoded(collection.namespace, collection.id), tag: 0,
                expireAt: place.element.expireAt, value: place.element.value, prior: .absent)
            if place.element.expireAt != 0 {
                putFieldTime(collection, place.element.expireAt, place.key.dropFirst(ElementKey.memberPrefixBytes))
            }
            offset = place.end
        }
    }

    // MARK: Saving

    /// Writes what has become of the collection at `user`. Returns whether the key is gone, because nothing is left.
    package func save(
        _ collection: inout Collection, at user: ByteView, keepsEmpty: Bool = false
    ) throws(Interruption) -> Bool {
        if collection.count == 0 && !keepsEmpty {
            guard collection.isThere else { return true }
            if collection.type == .hash {
                collection.extra[0] = 0
                indexFieldTimes(&collection, user)
            }
            if collection.isSpread && collection.id == collection.was.spreadID {
                removeOwner(collection.namespace, collection.id)
            }
            remove(user, in: collection.namespace, was: replaced(collection))
            return true
        }
        if collection.type == .sortedSet { try RankIndex.prepare(self, &collection) }
        let isNewOwner = collection.isSpread && collection.was.spreadID != collection.id
        if isNewOwner { putOwner(collection.namespace, collection.id, user) }
        if collection.type == .hash { indexFieldTimes(&collection, user) }
        let header = Collection.headerBytes(collection.type)
        let memory = allocate(header)
        let head = collection.writeHeader(to: memory)
        let value = collection.isSpread ? head : collection.packed.entry(head, self)
        put(
            user, in: collection.namespace, tag: collection.tag, expireAt: collection.expireAt, value: value,
            was: replaced(collection))
        return false
    }

    /// What an entry replaces: nothing dead, where it is the same collection's.
    private func replaced(_ collection: borrowing Collection) -> KeyState {
        var was = collection.was
        if was.spreadID == collection.id { was.spreadID = 0 }
        return was
    }

    /// Instead of `save`, where nothing that the entry itself says has changed: the entry of a spread collection need
    /// not be written again.
    package func saveElements(_ collection: inout Collection, at user: ByteView) throws(Interruption) {
        if !collection.isSpread || collection.was.spreadID != collection.id {
            _ = try save(&collection, at: user)
        } else if collection.hasChangedElements {
            noteTouched(user, in: collection.namespace)
        }
    }

    func putOwner(_ namespace: UInt32, _ id: UInt64, _ user: ByteView) {
        state.pointee.hasWritten = true
        batch.put(elementScratch.owner(namespace, id), tag: 0, value: user, prior: .unknown)
    }

    func removeOwner(_ namespace: UInt32, _ id: UInt64) {
        batch.delete(elementScratch.owner(namespace, id), prior: .present(hadExpiry: false))
    }

    // MARK: Whole collections

    /// Collections with fewer elements are not worth a hint.
    private static var hintElementsMin: Int { 256 }

    /// Tells merges where the elements of a collection are that is no more.
    @inline(never)
    func retire(_ namespace: UInt32, _ was: KeyState) {
        if was.spreadCount < Self.hintElementsMin { return }
        let lower = elementBound()
        let upper = elementBound()
        batch.noteDead(lower.owner(namespace, was.spreadID), upper.owner(namespace, was.spreadID + 1))
    }

    /// Deletes a key whose elements go on under another.
    package func removeMoved(_ user: ByteView, in namespace: UInt32, was: KeyState) {
        var was = was
        was.spreadID = 0
        remove(user, in: namespace, was: was)
    }

    /// The value of a collection's entry, written for another key of the same database, whose elements become its own.
    package func adopt(_ value: ByteView, tag: UInt8, as user: ByteView, in namespace: UInt32) {
        let id = Collection.spreadID(tag: tag, value: value)
        if id != 0 { putOwner(namespace, id, user) }
    }

    /// Copies the elements of a collection with the entry's value `value`, if it is spread, for the key `user` of
    /// `namespace`. Returns the value of the copy's entry.
    package func copyElements(
        _ value: ByteView, tag: UInt8, from source: UInt32, to namespace: UInt32, as user: ByteView
    ) throws(Interruption) -> ByteView {
        let old = Collection.spreadID(tag: tag, value: value)
        if old == 0 { return value }
        let id = try keyspace.takeCollectionID(mayBlock: reader.mayBlock)
        // A cursor over the transaction's own writes must not see them move: then everything is gathered first.
        let gathers = !batch.isEmpty
        var gathered: [(key: ByteView, element: Element)] = []
        let lower = elementBound()
        let upper = elementBound()
        let cursor = try reader.cursor(lower: lower.bound(1).encoded(source, old), upper: upper.owner(source, old + 1))
        let scratch = ElementScratch(base: allocate(ElementScratch.bytesMax))
        try cursor.seekToFirst()
        var looked = 0
        while cursor.isValid {
            looked += 1
            if looked > KeyScan.loopKeysMax && !reader.mayBlock { throw .wouldBlock }
            let key = cursor.key.dropFirst(ElementKey.prefixBytes)
            var value = try cursor.value()
            if gathers || value.count > WriteBatch.copiedValueBytesMax { value = copied(value) }
            let element = Element(value: value, expireAt: cursor.entry.pointee.expireAt)
            if gathers {
                gathered.append((copied(key), element))
            } else {
                putCopy(scratch.copy(key).encoded(namespace, id), element)
            }
            try cursor.next()
        }
        for (key, element) in gathered { putCopy(scratch.copy(key).encoded(namespace, id), element) }
        putOwner(namespace, id, user)
        let copy = allocate(value.count)
        copy.copyMemory(from: value.base, byteCount: value.count)
        copy.storeBytes(of: id.littleEndian, as: UInt64.self)
        return ByteView(base: copy, count: value.count)
    }

    private func putCopy(_ key: ByteView, _ element: Element) {
        batch.put(key, tag: 0, expireAt: element.expireAt, value: element.value, prior: .absent)
    }

    /// A copy that stays until the transaction ends.
    package func copied(_ bytes: ByteView) -> ByteView {
        let copy = allocate(bytes.count)
        copy.copyMemory(from: bytes.base, byteCount: bytes.count)
        return ByteView(base: copy, count: bytes.count)
    }
}
