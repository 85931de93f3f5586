// Tells merges which elements are dead: those of collections that were deleted, replaced or emptied. An element lives
// while the entry under its id names a key, and that key's entry names the id.
//
// Why it may be trusted: an element is written in one batch with the entry that names its id, or later; RENAME writes
// the name and both keys in one batch; ids are never used twice. So at any one moment an element whose id is named by
// no key is named by none ever after. A key that has expired but was not removed yet still counts as one: time is no
// writing.

import ValkBase
import ValkEngine

package final class CollectionFilter: MergeFilter {
    package init() {}

    package var interest: KeyInterest { KeyInterest(byte: KeySpace.elements, at: 4) }

    package func beginStep(_ reader: StoreReader) -> any MergeFilterStep { Step(reader) }

    private final class Step: MergeFilterStep {
        private let reader: StoreReader
        private var prefix: [UInt8] = []
        private var isDead = false

        init(_ reader: StoreReader) { self.reader = reader }

        func judge(_ entry: UnsafePointer<Entry>) throws(Interruption) -> MergeVerdict {
            let key = entry.pointee.key
            if key.count < ElementKey.prefixBytes { return .keep }
            let head = key[0..<ElementKey.prefixBytes]
            if prefix.withView({ $0 == head }) { return isDead ? .drop : .keep }
            prefix = []
            isDead = try !lives(head)
            prefix = head.array
            return isDead ? .drop : .keep
        }

        private func lives(_ head: ByteView) throws(Interruption) -> Bool {
            reader.begin()
            defer { reader.end() }
            guard let owner = try reader.find(head) else { return false }
            let user = try reader.value(owner).array
            var key = Array(head[0..<4].array)
            key.append(KeySpace.keys)
            key.append(contentsOf: user)
            let id = UInt64(bigEndian: head.base.loadUnaligned(fromByteOffset: 5, as: UInt64.self))
            return try key.withViewTyped { key throws(Interruption) in
                guard let entry = try reader.find(key) else { return false }
                let tag = entry.pointee.tag
                if tag & 0x0F <= 1 { return false }
                return Collection.spreadID(tag: tag, value: try reader.value(entry)) == id
            }
        }
    }
}
