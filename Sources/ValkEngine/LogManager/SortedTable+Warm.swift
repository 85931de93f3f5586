// Brings what look-ups of several keys will touch into the processor's caches, all keys at once.
//
// A look-up follows a chain of nodes, each of which may have to come from memory before the next is known. Walking many
// keys in step lets those waits overlap: each round moves every key one node down and asks for the node after. Only
// hints: nothing is returned but how far each key got, and a table that changes meanwhile does no harm.

import CValk
import ValkBase

extension SortedTable {
    /// `slots` and `depths` have room for `count` keys. Afterwards a slot is 0 where the table has nothing for the key.
    func warm(
        _ keys: UnsafePointer<ByteView>, _ count: Int, _ slots: UnsafeMutablePointer<UInt64>,
        _ depths: UnsafeMutablePointer<Int>
    ) {
        let first = valk_load_acquire_u64(root)
        for i in 0..<count {
            slots[i] = first
            depths[i] = 0
        }
        var isMoving = first != 0
        while isMoving {
            isMoving = false
            for i in 0..<count {
                let slot = slots[i]
                if slot == 0 || slot & 1 != 0 { continue }
                let next = step(slot, keys[i], &depths[i])
                slots[i] = next
                if next == 0 { continue }
                let target = SortedTable.address(next & ~1)
                valk_prefetch(target)
                if next & 1 != 0 {
                    // The record's key and the beginning of its value.
                    valk_prefetch(target + 64)
                } else {
                    isMoving = true
                }
            }
        }
    }

    /// The slot that follows the node `slot` on the way to `key`.
    @inline(__always)
    private func step(_ slot: UInt64, _ key: ByteView, _ depth: inout Int) -> UInt64 {
        let node = SortedTable.address(slot)
        depth &+= Int(node.load(fromByteOffset: 4, as: UInt32.self))
        if depth >= key.count { return depth == key.count ? valk_load_acquire_u64(node + 16) : 0 }
        let next = SortedTable.child(node, key[depth])
        depth &+= 1
        return next
    }
}
