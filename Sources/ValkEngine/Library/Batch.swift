// A batch of changes for the library's users: collected as values, made into the store's own form when it is written.

import ValkBase

extension Database {
    /// Changes that are applied as a whole. A value: copies are independent. Later changes of a key win.
    public struct Batch: Sendable {
        enum Change {
            case set(key: [UInt8], value: [UInt8])
            case remove(key: [UInt8])
            case removeRange(lower: [UInt8], upper: [UInt8])
        }
        private(set) var changes: [Change] = []
        /// Upper bound of the bytes that the batch takes in the log.
        private(set) var logBytesMax = 0

        public init() {}

        public var isEmpty: Bool { changes.isEmpty }
        public var count: Int { changes.count }

        /// Gives `key` (1 to 65,600 bytes) a value (up to 512 MiB).
        public mutating func set(_ value: [UInt8], for key: [UInt8]) {
            add(.set(key: key, value: value), key.count, value.count)
        }

        /// Removes `key`, if it is there.
        public mutating func remove(_ key: [UInt8]) { add(.remove(key: key), key.count, 0) }

        /// Removes all keys from `lower` up to and without `upper` that are there when the batch is written, also those
        /// that the batch has set before. Costs the same for one key as for a million; the space comes back later.
        public mutating func remove(from lower: [UInt8], to upper: [UInt8]) {
            // No key is before this one.
            let lower = lower.isEmpty ? [0] : lower
            add(.removeRange(lower: lower, upper: upper), lower.count, upper.count)
        }

        /// Throws `.invalid` for the first change that cannot be made.
        func check() throws(DatabaseError) {
            for change in changes {
                switch change {
                case .set(let key, let value):
                    try key.viewing { (view) throws(DatabaseError) in try Database.check(view) }
                    try Database.check(value: value.count)
                case .remove(let key): try key.viewing { (view) throws(DatabaseError) in try Database.check(view) }
                case .removeRange(let lower, let upper):
                    for bound in [lower, upper] where bound.count > Database.keyBytesMax {
                        throw DatabaseError(
                            .invalid, "a bound has at most \(Database.keyBytesMax) bytes, not \(bound.count)")
                    }
                    guard lower.withView({ l in upper.withView { l.compare($0) < 0 } }) else {
                        throw DatabaseError(.invalid, "a range's lower bound is before its upper one")
                    }
                }
            }
        }

        private mutating func add(_ change: Change, _ keyBytes: Int, _ valueBytes: Int) {
            changes.append(change)
            logBytesMax += LogFormat.bytesMax(keyBytes: keyBytes, valueBytes: valueBytes, isSeparated: true)
        }
    }
}

/// The store's form of a batch, with memory of its own for the values that a `WriteBatch` does not copy.
final class AssembledBatch {
    let batch = WriteBatch()
    private var memory: [UnsafeMutableRawPointer] = []

    init(_ source: Database.Batch) {
        for change in source.changes {
            switch change {
            case .set(let key, let value):
                let kept = value.count > WriteBatch.copiedValueBytesMax ? keep(value) : nil
                key.withView { key in
                    value.withView { batch.put(key, tag: 0, value: kept ?? $0, prior: .unknown) }
                }
            case .remove(let key): key.withView { batch.delete($0, prior: .unknown) }
            case .removeRange(let lower, let upper):
                lower.withView { l in upper.withView { batch.deleteRange(l, $0) } }
            }
        }
    }

    deinit { for pointer in memory { pointer.deallocate() } }

    private func keep(_ bytes: [UInt8]) -> ByteView {
        let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 16)
        bytes.withUnsafeBytes { if let base = $0.baseAddress { copy.copyMemory(from: base, byteCount: bytes.count) } }
        memory.append(copy)
        return ByteView(base: UnsafeRawPointer(copy), count: bytes.count)
    }
}
