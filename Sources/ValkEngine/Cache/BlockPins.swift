// The blocks that one thread holds on to while it runs one command, and the little memory it needs for reading more.
//
// Views into found entries stay valid until `releaseAll`. Lives behind a pointer, so that using it costs no reference
// counting; one thread at a time.

import CValk
import Glibc
import ValkBase

package struct BlockPins: ~Copyable {
    private var frames: UnsafeMutablePointer<BlockFramePointer>
    private var count = 0
    private var capacity = 64
    /// Hits and misses, the cache's words.
    private let counters: UnsafeMutablePointer<UInt64>
    private let cache: BlockCache
    private var scratch: UnsafeMutableRawPointer?
    private var scratchBytes = 0
    /// Scratch memory above this is given back at `releaseAll`.
    private static let scratchKept = 256 << 10

    private init(_ cache: BlockCache) {
        self.cache = cache
        counters = cache.addCounters()
        frames = .allocate(capacity: capacity)
    }

    deinit {
        for i in 0..<count { frames[i].unpin() }
        frames.deallocate()
        Glibc.free(scratch)
        cache.removeCounters(counters)
    }

    /// A new list of pins, to be ended with `destroy`.
    package static func make(_ cache: BlockCache) -> UnsafeMutablePointer<BlockPins> {
        let pins = UnsafeMutablePointer<BlockPins>.allocate(capacity: 1)
        pins.initialize(to: BlockPins(cache))
        return pins
    }

    package static func destroy(_ pins: UnsafeMutablePointer<BlockPins>) {
        pins.deinitialize(count: 1)
        pins.deallocate()
    }

    /// Ends all pins: every view that came through this list is invalid now.
    @inline(__always)
    package mutating func releaseAll() {
        if count > 0 { releaseMany() }
    }

    package var heldCount: Int { count }

    private mutating func releaseMany() {
        var i = 0
        while i < count {
            frames[i].unpin()
            i &+= 1
        }
        count = 0
        if scratchBytes > Self.scratchKept {
            Glibc.free(scratch)
            scratch = nil
            scratchBytes = 0
        }
    }

    /// Takes over one pin of `frame`.
    @inline(__always)
    mutating func add(_ frame: BlockFramePointer) {
        if count > 0 && frames[count &- 1] == frame {
            frame.unpin()
            return
        }
        if count == capacity { grow() }
        frames[count] = frame
        count &+= 1
    }

    @inline(never)
    private mutating func grow() {
        let bigger = UnsafeMutablePointer<BlockFramePointer>.allocate(capacity: capacity * 2)
        bigger.update(from: frames, count: count)
        frames.deallocate()
        frames = bigger
        capacity *= 2
    }

    // Only this thread writes them; a relaxed store is enough for those who read.
    @inline(__always) func countHit() { valk_store_relaxed_u64(counters, counters.pointee &+ 1) }
    func countMiss() { valk_store_relaxed_u64(counters + 1, counters[1] &+ 1) }

    /// Memory for `bytes` bytes as read from the disk; valid until the next call.
    mutating func scratchMemory(_ bytes: Int) -> UnsafeMutableRawPointer {
        if let scratch, scratchBytes >= bytes { return scratch }
        Glibc.free(scratch)
        let size = max(bytes, 16 << 10)
        guard let memory = malloc(size) else { preconditionFailure("no memory for \(size) bytes of scratch") }
        scratch = memory
        scratchBytes = size
        return memory
    }
}
