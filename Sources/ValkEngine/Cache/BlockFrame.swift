// One place in the block cache: who is in it, how many look at it, where its bytes are.
//
// Frames live in memory that is never reused for anything else while the cache lives, so a stale pointer to a frame
// always points to *a* frame, and whether it is still the right one can be asked after pinning it. That makes a hit
// free of locks: load the table's slot, pin the frame, check that the frame still belongs to the slot.
//
// `state` is the only word that several threads write:
//     bits 0...23  pins: threads that look at the bytes
//     bits 24, 25  heat: raised by use, lowered by the clock hand, evictable at 0
//     bit 31       live: in a slot, may be pinned by anybody who finds it
// Transitions: free (0) -> private (1 pin, not live; the owner fills it) -> live -> private again by eviction, only
// from "live, no pins". A frame that is not live is given back by whoever takes its last pin away. All other fields are
// written while the frame is private or, for `slot`, under the shard's lock.

import CValk
import ValkBase

package struct BlockFrame {
    // The first three fields keep this order: `state` and `slot` are used by their offsets, 0 and 8.
    fileprivate var state: UInt32 = 0
    /// Content bytes.
    package internal(set) var count: UInt32 = 0
    /// Address of the table's slot that leads here; 0 when none does. Read by others after pinning: atomic.
    fileprivate var slot: UInt64 = 0
    package internal(set) var bytes: UnsafeMutableRawPointer
    /// Bytes that fit.
    var capacity: UInt32
    /// Which shard, and which size class of it, the frame belongs to.
    var shard: UInt16
    var sizeClass: UInt16
    /// Whose block this is, for blocks that wait for their table to be opened.
    var fileId: UInt64 = 0
    var block: UInt32 = 0
    /// Came by a scan: first to go.
    var isCold: Bool = false
    /// Got memory beyond the budget: never goes into a slot.
    var isGuest: Bool = false
    /// Next on a free list.
    var next: UnsafeMutablePointer<BlockFrame>?
    let cache: UnsafeRawPointer

    init(shard: Int, sizeClass: Int, capacity: Int, bytes: UnsafeMutableRawPointer, cache: UnsafeRawPointer) {
        self.shard = UInt16(shard)
        self.sizeClass = UInt16(sizeClass)
        self.capacity = UInt32(capacity)
        self.bytes = bytes
        self.cache = cache
    }
}

package typealias BlockFramePointer = UnsafeMutablePointer<BlockFrame>

extension UnsafeMutablePointer where Pointee == BlockFrame {
    private static var pinMask: UInt32 { 0x00FF_FFFF }
    private static var heatOne: UInt32 { 0x0100_0000 }
    private static var heatMask: UInt32 { 0x0300_0000 }
    private static var live: UInt32 { 0x8000_0000 }

    // `state` is the first field, so the frame's address is its address.
    @inline(__always) private var word: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) }

    /// The frame in `slot`, pinned, or nil. `warm`: the use counts for keeping the block.
    @inline(__always)
    static func pin(slot: UnsafeMutablePointer<UInt64>, warm: Bool) -> BlockFramePointer? {
        let address = valk_load_acquire_u64(slot)
        guard let frame = BlockFramePointer(bitPattern: UInt(address)) else { return nil }
        var state = valk_load_acquire_u32(frame.word)
        repeat {
            if state & live == 0 { return nil }
            let heated = warm ? state | heatMask : state
            if valk_cas_u32(frame.word, state, heated &+ 1) { break }
            state = valk_load_acquire_u32(frame.word)
        } while true
        // The frame may have got another block between the load and the pin.
        if frame.owner == UInt64(UInt(bitPattern: slot)) { return frame }
        frame.unpin()
        return nil
    }

    /// Ends one look. The bytes must not be touched any more.
    @inline(__always)
    func unpin() {
        let before = valk_fetch_sub_u32(word, 1)
        if before & Self.live == 0 && before & Self.pinMask == 1 { giveBack() }
    }

    @inline(never)
    private func giveBack() {
        Unmanaged<BlockCache>.fromOpaque(pointee.cache).takeUnretainedValue().recycle(self)
    }

    @inline(__always)
    var owner: UInt64 { valk_load_relaxed_u64(word + 8) }

    func setOwner(_ slot: UInt64) { valk_store_relaxed_u64(word + 8, slot) }

    var isLive: Bool { valk_load_acquire_u32(word) & Self.live != 0 }

    /// From free to private: one pin, nobody else can find it. Shard lock held.
    func makePrivate() { valk_store_release_u32(word, 1) }

    /// From private to free. Shard lock held.
    func makeFree() { valk_store_release_u32(word, 0) }

    /// From private to live, keeping the owner's pin. `heat` 0...3.
    func makeLive(heat: UInt32) { valk_store_release_u32(word, Self.live | heat &* Self.heatOne | 1) }

    enum Sweep { case taken, cooled, busy, free }

    /// One pass of the clock hand: takes the frame (it is private then) when it is live, unpinned and cold, else lowers
    /// its heat. `force` takes it whatever its heat. Shard lock held.
    func sweep(force: Bool = false) -> Sweep {
        while true {
            let state = valk_load_acquire_u32(word)
            if state & Self.live == 0 { return state == 0 ? .free : .busy }
            if state & Self.pinMask != 0 { return .busy }
            if state & Self.heatMask == 0 || force {
                if valk_cas_u32(word, state, 1) { return .taken }
            } else if valk_cas_u32(word, state, state &- Self.heatOne) {
                return .cooled
            }
        }
    }

    /// Takes the frame out of circulation: true when it is private now (the caller gives it back), false when somebody
    /// still looks at it and will give it back. Shard lock held; the frame is live.
    func retire() -> Bool {
        while true {
            let state = valk_load_acquire_u32(word)
            if state & Self.pinMask == 0 {
                if valk_cas_u32(word, state, 1) { return true }
            } else if valk_cas_u32(word, state, state & ~Self.live) {
                return false
            }
        }
    }
}
