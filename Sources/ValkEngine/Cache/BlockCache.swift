// Decompressed, checked data blocks in memory, within a budget of bytes that they share with the indexes and filters of
// open tables.
//
// There is no table from block names to frames: every open table has one word per block (its *slot*), and that word
// leads to the frame. A hit is one load, one compare-and-swap to pin, one compare (see BlockFrame). Misses, evictions
// and changes of the budget go through the shards, each under its own lock.
//
// Order of a block's life: `allocate` (private frame, one pin) -> the reader fills and checks it -> `publish` into the
// slot (or not: a frame that is never published is freed by its last unpin) -> pins and unpins -> eviction, or `detach`
// when its table is closed. Pinned blocks are never evicted; a detached block lives until its last unpin.
//
// The cache outlives every table, cursor and list of pins that uses it.

import CValk
import ValkBase

package struct BlockCacheStatistics: Sendable, Equatable {
    package var hits: UInt64 = 0
    package var misses: UInt64 = 0
    /// Blocks brought in.
    package var insertions: UInt64 = 0
    package var evictions: UInt64 = 0
    /// Bytes of memory that hold blocks or are kept for them.
    package var usedBytes = 0
    /// Bytes of open tables' indexes and filters, which count in the same budget.
    package var tableBytes = 0
    package var budgetBytes = 0
}

package final class BlockCache: @unchecked Sendable {  // Immutable, atomics, or under a shard's lock.
    private var shards: [CacheShard] = []
    private let budgetLock = Lock()
    // Both under `budgetLock`.
    private var budget: Int
    private var tableBytes = 0
    private let countersLock = Lock()
    /// Hits and misses of one thread each, written by it alone.
    private var counters: [UnsafeMutablePointer<UInt64>] = []
    private var retiredHits: UInt64 = 0
    private var retiredMisses: UInt64 = 0

    /// `budgetBytes` may be 0: then nothing is kept.
    package init(budgetBytes: Int, shardCount: Int = 4) {
        precondition(shardCount >= 1 && shardCount <= 1024, "\(shardCount) shards")
        budget = budgetBytes
        let me = UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
        shards = (0..<shardCount).map { CacheShard(index: $0, budget: budgetBytes / shardCount, cache: me) }
    }

    /// Settable at any time from any thread; a smaller budget takes effect before the setter returns, but for pinned
    /// blocks.
    package var budgetBytes: Int {
        get { budgetLock.withLock { budget } }
        set {
            budgetLock.withLock {
                budget = newValue
                divideBudget()
            }
        }
    }

    /// Open tables say what their indexes and filters take (negative when they close): blocks get the rest, but never
    /// less than an eighth, because without blocks nothing can be read at a bearable speed.
    func countTable(_ bytes: Int) {
        budgetLock.withLock {
            tableBytes += bytes
            divideBudget()
        }
    }

    private func divideBudget() {
        let share = max(budget - tableBytes, budget / 8) / shards.count
        for shard in shards { shard.lock.withLock { shard.setBudget(share) } }
    }

    package var statistics: BlockCacheStatistics {
        var result = BlockCacheStatistics()
        for shard in shards {
            shard.lock.withLock {
                result.insertions &+= shard.insertions
                result.evictions &+= shard.evictions
                result.usedBytes += shard.usedBytes
            }
        }
        countersLock.withLock {
            result.hits = retiredHits
            result.misses = retiredMisses
            for counter in counters {
                result.hits &+= valk_load_relaxed_u64(counter)
                result.misses &+= valk_load_relaxed_u64(counter + 1)
            }
        }
        budgetLock.withLock {
            result.tableBytes = tableBytes
            result.budgetBytes = budget
        }
        return result
    }

    // MARK: For tables

    /// A private frame for `bytes` bytes of block `block` of file `fileId`.
    func allocate(_ bytes: Int, fileId: UInt64, block: Int, cold: Bool) -> BlockFramePointer {
        let spread = (fileId &* 0x9E37_79B9_7F4A_7C15) >> 32 &+ UInt64(block)
        let shard = shards[Int(spread % UInt64(shards.count))]
        let frame = shard.lock.withLock { shard.allocate(bytes, cold: cold) }
        frame.pointee.fileId = fileId
        frame.pointee.block = UInt32(block)
        return frame
    }

    /// Puts a filled private frame into its slot. The caller's pin stays. When somebody else was first, the frame
    /// simply stays private.
    func publish(_ frame: BlockFramePointer, slot: UnsafeMutablePointer<UInt64>, heat: UInt32) {
        if frame.pointee.isGuest { return }
        frame.setOwner(UInt64(UInt(bitPattern: slot)))
        // Until `makeLive` nobody can pin it, and it is not evicted.
        if valk_cas_u64(slot, 0, UInt64(UInt(bitPattern: frame))) {
            frame.makeLive(heat: heat)
        } else {
            frame.setOwner(0)
        }
    }

    /// Keeps a filled private frame for a table that is not open yet; it may be evicted before. Takes the caller's pin.
    func publishWarm(_ frame: BlockFramePointer) {
        if !frame.pointee.isGuest { frame.makeLive(heat: 0) }
        frame.unpin()
    }

    /// Leads the slots of file `fileId` to what is left of the frames that were kept for it. `frames[i]` is for block
    /// i.
    func adopt(_ frames: [BlockFramePointer?], fileId: UInt64, slots: UnsafeMutablePointer<UInt64>) {
        forEachKept(frames, fileId) { frame, block, _ in
            let slot = slots + block
            frame.setOwner(UInt64(UInt(bitPattern: slot)))
            valk_store_release_u64(slot, UInt64(UInt(bitPattern: frame)))
        }
    }

    /// Drops frames that were kept for a table that will not be opened.
    func drop(_ frames: [BlockFramePointer?], fileId: UInt64) {
        forEachKept(frames, fileId) { frame, _, shard in if frame.retire() { shard.recycle(frame) } }
    }

    /// Shows `body` those of the frames that nobody else has taken meanwhile, each with its block and its shard, which
    /// is locked.
    private func forEachKept(
        _ frames: [BlockFramePointer?], _ fileId: UInt64, _ body: (BlockFramePointer, Int, CacheShard) -> Void
    ) {
        for (block, frame) in frames.enumerated() {
            guard let frame else { continue }
            let shard = shards[Int(frame.pointee.shard)]
            shard.lock.withLock {
                // Live and locked: nobody changes its fields.
                guard frame.isLive, frame.owner == 0, frame.pointee.fileId == fileId, Int(frame.pointee.block) == block
                else { return }
                body(frame, block, shard)
            }
        }
    }

    /// Takes all blocks of a table out. No reader may be in the table; pinned blocks live until their last unpin.
    func detach(_ slots: UnsafeMutablePointer<UInt64>, count: Int) {
        for i in 0..<count {
            let slot = slots + i
            let address = valk_load_acquire_u64(slot)
            guard let frame = BlockFramePointer(bitPattern: UInt(address)) else { continue }
            let shard = shards[Int(frame.pointee.shard)]
            shard.lock.withLock {
                // It may have been evicted since the load.
                guard valk_load_acquire_u64(slot) == address else { return }
                frame.setOwner(0)
                valk_store_release_u64(slot, 0)
                if frame.retire() { shard.recycle(frame) }
            }
        }
    }

    func recycle(_ frame: BlockFramePointer) {
        let shard = shards[Int(frame.pointee.shard)]
        shard.lock.withLock { shard.recycle(frame) }
    }

    // MARK: Counting

    /// Two words, hits and misses, for one thread to add to.
    func addCounters() -> UnsafeMutablePointer<UInt64> {
        // A cache line each, so that threads do not disturb each other.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
        let words = memory.bindMemory(to: UInt64.self, capacity: 8)
        words.initialize(repeating: 0, count: 8)
        countersLock.withLock { counters.append(words) }
        return words
    }

    func removeCounters(_ words: UnsafeMutablePointer<UInt64>) {
        countersLock.withLock {
            retiredHits &+= words[0]
            retiredMisses &+= words[1]
            counters.removeAll { $0 == words }
        }
        words.deallocate()
    }
}
