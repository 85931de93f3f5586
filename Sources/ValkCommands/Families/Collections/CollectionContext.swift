// Collections for commands: opened with the right error, saved with the right events.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

extension CommandContext {
    /// The collection at `key`, for a reader; an empty one where there is none. Nil after a WRONGTYPE reply.
    func collection(_ key: ByteView, _ type: ValueType) throws(Interruption) -> Collection? {
        switch try keys.collection(key, type) {
        case .collection(let collection): return collection
        case .wrongType:
            fail(ErrorText.wrongType)
            return nil
        }
    }

    /// The same for a writer. Nil after an error reply, also where `key` is too long to be one.
    func collectionToChange(_ key: ByteView, _ type: ValueType) throws(Interruption) -> Collection? {
        guard canStore(key) else { return nil }
        switch try keys.collectionToChange(key, type) {
        case .collection(let collection): return collection
        case .wrongType:
            fail(ErrorText.wrongType)
            return nil
        }
    }

    /// Saves what was changed and tells of it: `event`, and `del` where nothing is left.
    func save(
        _ collection: inout Collection, at key: ByteView, _ event: @autoclosure () -> KeyEvent, changes: Int = 1
    ) throws(Interruption) {
        let isGone = try keys.save(&collection, at: key)
        notify(event(), key)
        if isGone { notify(.del, key) }
        keys.changed(changes)
    }

    /// As `save`, where only elements changed and not their number.
    func saveElements(
        _ collection: inout Collection, at key: ByteView, _ event: @autoclosure () -> KeyEvent, changes: Int = 1
    ) throws(Interruption) {
        try keys.saveElements(&collection, at: key)
        notify(event(), key)
        keys.changed(changes)
    }

    /// False after an error reply: `bytes` are too long for a field or a member.
    @inline(__always)
    func canBeElement(_ bytes: ByteView) -> Bool {
        if keys.fitsElement(bytes) { return true }
        fail(ErrorText.elementTooLong)
        return false
    }
}
