// A collection out of the payload of RESTORE, element by element, as its own commands would fill it.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

enum RestoredCollection {
    private enum Fault {
        case format
        case tooLong
    }

    /// The collection that a payload holds, for the key `key`, not saved yet; nil after an error reply. Fields that
    /// have expired are left out, and so it may be empty. What was written must be taken back where it is not saved.
    static func read(
        _ c: CommandContext, _ payload: ByteView, _ key: ByteView
    ) throws(Interruption) -> Collection? {
        guard var reader = RDBCollectionReader(payload, allocate: { c.keys.allocate($0) }) else {
            TransferCommands.failFormat(c)
            return nil
        }
        var collection = try c.keys.freshCollection(key, reader.valueType)
        let isList = collection.type == .list
        var fault = Fault.format
        var count = 0
        let isWhole = try reader.forEach { part throws(Interruption) in
            count += 1
            try c.yieldAfter(count)
            switch part {
            case .element(let bytes) where isList:
                try ListElements.push(c, &collection, bytes, .right)
            case .element(let bytes):
                guard c.keys.fitsElement(bytes) else {
                    fault = .tooLong
                    return false
                }
                return try SetCommands.add(c, &collection, bytes)
            case .field(let field, let value, let expireAt):
                guard c.keys.fitsElement(field) else {
                    fault = .tooLong
                    return false
                }
                if expireAt != 0 && expireAt <= c.now { return true }
                return try HashCommands.put(c, &collection, field, value, expireAt: expireAt)
            case .scored(let member, let score):
                guard c.keys.fitsElement(member) else {
                    fault = .tooLong
                    return false
                }
                if try SortedSetElements.score(c, collection, member) != nil { return false }
                try SortedSetElements.put(c, &collection, member, score, old: nil)
            }
            return true
        }
        if isWhole && count > 0 { return collection }
        switch fault {
        case .format: TransferCommands.failFormat(c)
        case .tooLong: c.fail(ErrorText.elementTooLong)
        }
        return nil
    }
}
