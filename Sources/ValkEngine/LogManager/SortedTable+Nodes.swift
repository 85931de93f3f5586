// Nodes of the in-memory sorted table: four sizes, each with its own way from a byte to a slot.
//
//   header: type u8 at 0 | count u16 at 2 | prefix length u32 at 4 | prefix address u64 at 8 | terminal slot u64 at 16
//   4:   4 bytes at 24, slots at 32            16:  16 bytes at 24, slots at 40
//   48:  256 index bytes at 24, slots at 280   256: slots at 24
//
// Smaller nodes append: slot and byte first, then the count, with release; readers acquire the count. Larger ones
// publish the index byte or the slot. A full node is copied into the next size, and the copy replaces it by one store
// into its parent's slot, so readers of the old one go on undisturbed.

import CValk
import Glibc
import ValkBase

extension SortedTable {
    /// Of the smaller sizes the number is how many children fit.
    enum NodeType {
        static let four: UInt8 = 4
        static let sixteen: UInt8 = 16
        static let fortyEight: UInt8 = 48
        static let full: UInt8 = 255

        static func bytes(_ type: UInt8) -> Int {
            switch type {
            case four: return slots4 + 4 * 8
            case sixteen: return slots16 + 16 * 8
            case fortyEight: return slots48 + 48 * 8
            default: return slots256 + 256 * 8
            }
        }

        /// The size that a full node of `type` grows into.
        static func next(_ type: UInt8) -> UInt8 {
            type == four ? sixteen : type == sixteen ? fortyEight : full
        }
    }
    static let slots4 = 32
    static let slots16 = 40
    static let slots48 = 280
    static let slots256 = 24

    // MARK: Looking

    /// The slot value of `byte` in `node`, 0 when there is none.
    @inline(__always)
    static func child(_ node: UnsafeMutableRawPointer, _ byte: UInt8) -> UInt64 {
        guard let at = childSlot(node, byte) else { return 0 }
        return valk_load_acquire_u64(at)
    }

    /// Where the slot of `byte` lies, nil when the node has none.
    @inline(__always)
    static func childSlot(_ node: UnsafeMutableRawPointer, _ byte: UInt8) -> UnsafeMutableRawPointer? {
        switch node.load(as: UInt8.self) {
        case NodeType.sixteen:
            let count = nodeCount(node)
            let pattern = 0x0101_0101_0101_0101 &* UInt64(byte)
            if let i = zeroByte(node.load(fromByteOffset: 24, as: UInt64.self) ^ pattern), i < count {
                return node + (slots16 &+ i &* 8)
            }
            if count > 8, let i = zeroByte(node.load(fromByteOffset: 32, as: UInt64.self) ^ pattern), i &+ 8 < count {
                return node + (slots16 &+ (i &+ 8) &* 8)
            }
            return nil
        case NodeType.four:
            let count = nodeCount(node)
            var i = 0
            while i < count {
                if node.load(fromByteOffset: 24 &+ i, as: UInt8.self) == byte { return node + (slots4 &+ i &* 8) }
                i &+= 1
            }
            return nil
        case NodeType.fortyEight:
            let index = Int(valk_load_acquire_u8(node + (24 &+ Int(byte))))
            return index == 0 ? nil : node + (slots48 &+ (index &- 1) &* 8)
        default:
            return node + (slots256 &+ Int(byte) &* 8)
        }
    }

    /// Index of the lowest zero byte of `word`.
    @inline(__always)
    private static func zeroByte(_ word: UInt64) -> Int? {
        let hit = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
        return hit == 0 ? nil : hit.trailingZeroBitCount >> 3
    }

    /// Filled slots of a node with 4 or 16; acquires what was appended.
    @inline(__always)
    static func nodeCount(_ node: UnsafeMutableRawPointer) -> Int {
        Int(valk_load_acquire_u32(node) >> 16)
    }

    static func prefix(_ node: UnsafeMutableRawPointer) -> ByteView {
        let length = Int(node.load(fromByteOffset: 4, as: UInt32.self))
        if length == 0 { return .empty }
        return ByteView(base: UnsafeRawPointer(address(node.load(fromByteOffset: 8, as: UInt64.self))), count: length)
    }

    // MARK: Making (holder of the commit lock)

    func makeNode(_ type: UInt8, prefix: ByteView) -> UnsafeMutableRawPointer {
        let bytes = NodeType.bytes(type)
        let node = arena.allocateLine(bytes)
        memset(node, 0, bytes)
        node.storeBytes(of: type, as: UInt8.self)
        SortedTable.setPrefix(node, prefix)
        return node
    }

    private static func setPrefix(_ node: UnsafeMutableRawPointer, _ prefix: ByteView) {
        node.storeBytes(of: UInt32(truncatingIfNeeded: prefix.count), toByteOffset: 4, as: UInt32.self)
        node.storeBytes(of: UInt64(UInt(bitPattern: prefix.base)), toByteOffset: 8, as: UInt64.self)
    }

    private static func setTerminal(_ node: UnsafeMutableRawPointer, _ slot: UInt64) {
        node.storeBytes(of: slot, toByteOffset: 16, as: UInt64.self)
    }

    /// Adds the way to `slot` to a node that nobody can see yet; `depth` is where the node's own byte stands in `key`.
    func addUnpublished(_ node: UnsafeMutableRawPointer, _ key: ByteView, _ depth: Int, _ slot: UInt64) {
        if depth == key.count {
            SortedTable.setTerminal(node, slot)
        } else {
            _ = SortedTable.add(node, key[depth], slot)
        }
    }

    /// The key leaves `node`'s prefix after `shared` bytes: a new node takes the shared part, with a copy of `node`
    /// (with the rest of its prefix) and the new leaf below it.
    func splitPrefix(
        _ at: UnsafeMutableRawPointer, _ node: UnsafeMutableRawPointer, _ prefix: ByteView, _ shared: Int,
        _ key: ByteView, _ depth: Int, _ leaf: UInt64
    ) {
        let type = node.load(as: UInt8.self)
        let copy = makeNode(type, prefix: .empty)
        memcpy(copy, node, NodeType.bytes(type))
        SortedTable.setPrefix(copy, prefix.dropFirst(shared &+ 1))
        let parent = makeNode(NodeType.four, prefix: prefix[0..<shared])
        addUnpublished(parent, prefix, shared, UInt64(UInt(bitPattern: copy)))
        addUnpublished(parent, key, depth &+ shared, leaf)
        valk_store_release_u64(at, UInt64(UInt(bitPattern: parent)))
    }

    /// Adds a child for a byte that `node` does not have; `at` is the slot that leads to `node`.
    func append(_ at: UnsafeMutableRawPointer, _ node: UnsafeMutableRawPointer, _ byte: UInt8, _ slot: UInt64) {
        if SortedTable.add(node, byte, slot) { return }
        let bigger = makeNode(NodeType.next(node.load(as: UInt8.self)), prefix: SortedTable.prefix(node))
        SortedTable.setTerminal(bigger, node.load(fromByteOffset: 16, as: UInt64.self))
        SortedTable.copyChildren(node, bigger)
        _ = SortedTable.add(bigger, byte, slot)
        valk_store_release_u64(at, UInt64(UInt(bitPattern: bigger)))
    }

    /// Copies the children of a full `node` to one of the next size, which is empty and which nobody can see yet. Many
    /// new keys make some node grow: this goes from slot to slot, not from byte to byte.
    private static func copyChildren(_ node: UnsafeMutableRawPointer, _ bigger: UnsafeMutableRawPointer) {
        switch node.load(as: UInt8.self) {
        case NodeType.four:
            memcpy(bigger + 24, node + 24, 4)
            memcpy(bigger + slots16, node + slots4, 4 * 8)
            bigger.storeBytes(of: UInt32(NodeType.sixteen) | 4 << 16, as: UInt32.self)
        case NodeType.sixteen:
            for i in 0..<16 {
                let byte = Int(node.load(fromByteOffset: 24 &+ i, as: UInt8.self))
                bigger.storeBytes(of: UInt8(i &+ 1), toByteOffset: 24 &+ byte, as: UInt8.self)
            }
            memcpy(bigger + slots48, node + slots16, 16 * 8)
            bigger.storeBytes(of: UInt32(NodeType.fortyEight) | 16 << 16, as: UInt32.self)
        default:
            for byte in 0..<256 {
                let index = Int(node.load(fromByteOffset: 24 &+ byte, as: UInt8.self))
                if index == 0 { continue }
                let slot = node.load(fromByteOffset: slots48 &+ (index &- 1) &* 8, as: UInt64.self)
                bigger.storeBytes(of: slot, toByteOffset: slots256 &+ byte &* 8, as: UInt64.self)
            }
        }
    }

    /// Publishes a child for a byte that the node does not have. False when the node is full.
    private static func add(_ node: UnsafeMutableRawPointer, _ byte: UInt8, _ slot: UInt64) -> Bool {
        let type = node.load(as: UInt8.self)
        if type == NodeType.full {
            valk_store_release_u64(node + (slots256 &+ Int(byte) &* 8), slot)
            return true
        }
        let count = nodeCount(node)
        if count == Int(type) { return false }
        let slots = type == NodeType.four ? slots4 : type == NodeType.sixteen ? slots16 : slots48
        node.storeBytes(of: slot, toByteOffset: slots &+ count &* 8, as: UInt64.self)
        if type != NodeType.fortyEight { node.storeBytes(of: byte, toByteOffset: 24 &+ count, as: UInt8.self) }
        valk_store_release_u32(node, UInt32(type) | UInt32(truncatingIfNeeded: count &+ 1) << 16)
        if type == NodeType.fortyEight { valk_store_release_u8(node + (24 &+ Int(byte)), UInt8(count &+ 1)) }
        return true
    }
}
