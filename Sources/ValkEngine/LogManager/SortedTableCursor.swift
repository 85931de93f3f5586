// Ordered walks over the in-memory sorted table.
//
// The cursor keeps the path from the root: per node the byte it went down by (-1 for the terminal slot, which orders
// before all bytes). Nodes that the writer replaces meanwhile stay readable and miss only entries newer than the
// cursor's `maxSequence`, which it must not see anyway.
//
// Of each key the cursor shows the newest version of at most `maxSequence`.

import CValk
import ValkBase

package final class SortedTableCursor: EntryCursor {
    private struct Step {
        let node: UnsafeMutableRawPointer
        var byte: Int
    }

    private let table: SortedTable
    private var maxSequence: UInt64
    /// The path, on the heap of the cursor: walking touches no array and no reference counts.
    private var path: UnsafeMutablePointer<Step>
    private var depth = 0
    private var capacity = 32
    /// Newest version of the key at the cursor; 0 when the cursor is past an end.
    private var head: UInt64 = 0
    /// The version at the cursor; 0 when it is nowhere.
    private var current: UInt64 = 0
    private let scratch: UnsafeMutablePointer<Entry>

    /// `table` is kept alive by the cursor. Versions newer than `maxSequence` are not seen.
    package init(_ table: SortedTable, maxSequence: UInt64) {
        self.table = table
        self.maxSequence = maxSequence
        path = .allocate(capacity: 32)
        scratch = .allocate(capacity: 1)
        scratch.initialize(to: Entry())
        super.init()
    }

    deinit {
        path.deallocate()
        scratch.deallocate()
    }

    @inline(__always)
    private func push(_ node: UnsafeMutableRawPointer, _ byte: Int) {
        if depth == capacity { grow() }
        (path + depth).initialize(to: Step(node: node, byte: byte))
        depth &+= 1
    }

    @inline(never)
    private func grow() {
        let bigger = UnsafeMutablePointer<Step>.allocate(capacity: capacity * 2)
        bigger.initialize(from: path, count: depth)
        path.deallocate()
        path = bigger
        capacity *= 2
    }

    /// The version at the cursor.
    var record: TableRecord { TableRecord(SortedTable.address(current)) }

    /// From here on versions of at most `sequence` are seen. The cursor is nowhere.
    override func show(upTo sequence: UInt64) {
        maxSequence = sequence
        depth = 0
        head = 0
        leave()
    }

    /// Accounts for the values in the log of all versions of the key at the cursor, of which a flush keeps the newest
    /// at most.
    func countValues(newestIsDropped: Bool, _ result: inout JobResult) {
        var entry = Entry()
        var record = TableRecord(SortedTable.address(current))
        var isDropped = newestIsDropped
        while true {
            if record.flags.contains(.separated) {
                record.fill(&entry)
                result.values.add(&entry)
                if isDropped { result.discards.add(&entry) }
            }
            if !record.olderAreSeparated { return }
            record = TableRecord(SortedTable.address(record.previous))
            isDropped = true
        }
    }

    private func load(_ record: UInt64) {
        current = record
        TableRecord(SortedTable.address(record)).fill(scratch)
        position = UnsafePointer(scratch)
    }

    private func leave() {
        current = 0
        position = nil
    }

    /// The newest version of at most `maxSequence` in the chain at `record`, 0 when there is none.
    private func visible(_ record: UInt64) -> UInt64 {
        var at = record
        while at != 0 {
            let version = TableRecord(SortedTable.address(at))
            if version.sequence <= maxSequence { return at }
            at = version.previous
        }
        return 0
    }

    // MARK: Nodes

    /// The smallest child byte greater than `after` with its slot; -1 stands for the terminal slot, `after` -2 for
    /// none.
    private static func nextChild(_ node: UnsafeMutableRawPointer, after: Int) -> (byte: Int, slot: UInt64)? {
        if after < -1 {
            let terminal = valk_load_acquire_u64(node + 16)
            if terminal != 0 { return (-1, terminal) }
        }
        let low = after < 0 ? 0 : after + 1
        if low > 255 { return nil }
        switch node.load(as: UInt8.self) {
        case SortedTable.NodeType.four, SortedTable.NodeType.sixteen:
            let isFour = node.load(as: UInt8.self) == SortedTable.NodeType.four
            let count = Int32(truncatingIfNeeded: SortedTable.nodeCount(node))
            let least =
                isFour
                ? valk_least_byte4(node + 24, count, Int32(low)) : valk_least_byte16(node + 24, count, Int32(low))
            if least < 0 { return nil }
            let slots = isFour ? SortedTable.slots4 : SortedTable.slots16
            return (Int(least >> 4), valk_load_acquire_u64(node + (slots &+ Int(least & 15) &* 8)))
        default:
            var b = low
            while b < 256 {
                let slot = SortedTable.child(node, UInt8(b))
                if slot != 0 { return (b, slot) }
                b += 1
            }
            return nil
        }
    }

    /// The largest child byte less than `before` (257 for none); the terminal slot (-1) comes last.
    private static func previousChild(_ node: UnsafeMutableRawPointer, before: Int) -> (byte: Int, slot: UInt64)? {
        let high = before - 1
        if high >= 0 {
            switch node.load(as: UInt8.self) {
            case SortedTable.NodeType.four, SortedTable.NodeType.sixteen:
                let count = SortedTable.nodeCount(node)
                var best = -1
                for i in 0..<count {
                    let b = Int(node.load(fromByteOffset: 24 &+ i, as: UInt8.self))
                    if b <= high && b > best { best = b }
                }
                if best >= 0 { return (best, SortedTable.child(node, UInt8(best))) }
            default:
                var b = min(high, 255)
                while b >= 0 {
                    let slot = SortedTable.child(node, UInt8(b))
                    if slot != 0 { return (b, slot) }
                    b -= 1
                }
            }
        }
        if before > -1 {
            let terminal = valk_load_acquire_u64(node + 16)
            if terminal != 0 { return (-1, terminal) }
        }
        return nil
    }

    /// To the first leaf below `slot`.
    private func descendFirst(_ slot: UInt64) {
        var slot = slot
        while slot & 1 == 0 {
            let node = SortedTable.address(slot)
            guard let (byte, child) = SortedTableCursor.nextChild(node, after: -2) else {
                preconditionFailure("a node of the sorted table has no child")
            }
            push(node, byte)
            SortedTableCursor.prefetchChildren(node)
            slot = child
        }
        head = slot & ~1
    }

    /// A walk in key order meets memory in no order: asks for a small node's children together, before the first is
    /// used.
    @inline(__always)
    private static func prefetchChildren(_ node: UnsafeMutableRawPointer) {
        let slots: Int
        switch node.load(as: UInt8.self) {
        case SortedTable.NodeType.four: slots = SortedTable.slots4
        case SortedTable.NodeType.sixteen: slots = SortedTable.slots16
        default: return
        }
        for i in 0..<SortedTable.nodeCount(node) {
            prefetch(node.load(fromByteOffset: slots &+ i &* 8, as: UInt64.self))
        }
    }

    /// The lines of a node, or of a record, that a walk reads first.
    @inline(__always)
    private static func prefetch(_ slot: UInt64) {
        let target = SortedTable.address(slot & ~1)
        valk_prefetch(target)
        valk_prefetch(target + 64)
    }

    /// While the walk is below child `byte` of `node`: asks for what the next two children need.
    @inline(__always)
    private static func lookAhead(_ node: UnsafeMutableRawPointer, after byte: Int) {
        guard let first = nextChild(node, after: byte) else { return }
        if first.slot & 1 == 0 { prefetchChildren(SortedTable.address(first.slot)) }
        guard let second = nextChild(node, after: first.byte) else { return }
        prefetch(second.slot)
    }

    private func descendLast(_ slot: UInt64) {
        var slot = slot
        while slot & 1 == 0 {
            let node = SortedTable.address(slot)
            guard let (byte, child) = SortedTableCursor.previousChild(node, before: 257) else {
                preconditionFailure("a node of the sorted table has no child")
            }
            push(node, byte)
            slot = child
        }
        head = slot & ~1
    }

    /// To the next leaf; `head` is 0 at the end.
    private func nextLeaf() {
        while depth > 0 {
            let step = path + (depth &- 1)
            if let (byte, slot) = SortedTableCursor.nextChild(step.pointee.node, after: step.pointee.byte) {
                step.pointee.byte = byte
                // A small node's leaves have been asked for already.
                if slot & 1 == 0 || step.pointee.node.load(as: UInt8.self) > SortedTable.NodeType.sixteen {
                    SortedTableCursor.lookAhead(step.pointee.node, after: byte)
                }
                descendFirst(slot)
                return
            }
            depth &-= 1
        }
        head = 0
    }

    private func previousLeaf() {
        while depth > 0 {
            let step = path + (depth &- 1)
            if let (byte, slot) = SortedTableCursor.previousChild(step.pointee.node, before: step.pointee.byte) {
                step.pointee.byte = byte
                descendLast(slot)
                return
            }
            depth &-= 1
        }
        head = 0
    }

    /// Finds the first leaf at or after `key`.
    private func findLeaf(_ key: ByteView) {
        self.depth = 0
        head = 0
        var slot = valk_load_acquire_u64(table.root)
        var matched = 0
        while slot != 0 {
            if slot & 1 != 0 {
                head = slot & ~1
                if TableRecord(SortedTable.address(head)).key.compare(key) < 0 { nextLeaf() }
                return
            }
            let node = SortedTable.address(slot)
            let prefix = SortedTable.prefix(node)
            let rest = key.dropFirst(matched)
            let shared = prefix.commonPrefix(with: rest)
            if shared < prefix.count {
                // The key leaves the prefix: the whole subtree is after it or before it.
                if shared == rest.count || prefix[shared] > rest[shared] {
                    descendFirst(slot)
                } else {
                    nextLeaf()
                }
                return
            }
            matched += shared
            if matched == key.count {
                descendFirst(slot)
                return
            }
            let wanted = Int(key[matched])
            guard let (byte, child) = SortedTableCursor.nextChild(node, after: wanted - 1 < 0 ? -1 : wanted - 1) else {
                nextLeaf()
                return
            }
            push(node, byte)
            if byte > wanted {
                descendFirst(child)
                return
            }
            slot = child
            matched += 1
        }
    }

    // MARK: Moves

    /// From a leaf on: the first visible version at `head` or after.
    private func settleForward() {
        while head != 0 {
            let version = visible(head)
            if version != 0 {
                load(version)
                return
            }
            nextLeaf()
        }
        leave()
    }

    /// From a leaf back: the last visible version at `head` or before.
    private func settleBackward() {
        while head != 0 {
            let version = visible(head)
            if version != 0 {
                load(version)
                return
            }
            previousLeaf()
        }
        leave()
    }

    package override func seek(_ key: ByteView) {
        findLeaf(key)
        settleForward()
    }

    package override func seekToFirst() {
        depth = 0
        head = 0
        let slot = valk_load_acquire_u64(table.root)
        if slot != 0 { descendFirst(slot) }
        settleForward()
    }

    package override func seekToLast() {
        depth = 0
        head = 0
        let slot = valk_load_acquire_u64(table.root)
        if slot != 0 { descendLast(slot) }
        settleBackward()
    }

    package override func seekBefore(_ key: ByteView) {
        findLeaf(key)
        if head == 0 {
            seekToLast()
            return
        }
        previousLeaf()
        settleBackward()
    }

    package override func next() {
        nextLeaf()
        settleForward()
    }

    package override func previous() {
        previousLeaf()
        settleBackward()
    }
}
