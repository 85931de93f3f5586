// A part of the block cache with its own lock and memory. Only misses, evictions and the like come here; hits do not.
//
// Memory comes in chunks of 256 KiB, cut into frames of one size class each, and is used again and again: touching
// memory for the first time is far slower than reading a block. Chunks lie in 2 MiB regions that ask for huge pages. A
// chunk's memory goes back to the system only when the budget shrinks; the frames that describe it stay for ever (see
// BlockFrame).
//
// Which block goes when room is needed:
// 1. Blocks that a scan brought recycle among themselves once they are a sixteenth of their class: a scan through
//    everything displaces little else.
// 2. Otherwise a clock hand per size class (GCLOCK): use raises a frame's heat to 3, the hand lowers it by one as it
//    passes and takes the first frame that it finds at 0.
// 3. Every few thousand evictions the size class under the greatest pressure gets a chunk of the one under the least.
// When nothing can be had (everything is pinned, or the budget is tiny) the block gets memory of its own that is freed
// at the last unpin: reading never fails for want of cache.

import CValk
import Glibc
import ValkBase

/// The sizes that blocks are rounded up to.
enum SizeClass {
    static let chunkBytes = 256 << 10
    static let largestBytes = 64 << 10
    /// 1,024 to 8,192 by 512; to 16,384 by 1,024; to 65,536 by 4,096.
    static let count = 15 + 8 + 12
    static let minBytes = 1024
    static let framesMax = chunkBytes / minBytes
    /// Frames with memory of their own: bigger blocks, and blocks that got no place.
    static let own = 0xFFFF

    static func index(_ bytes: Int) -> Int {
        if bytes <= 1024 { return 0 }
        if bytes <= 8192 { return (bytes - 1024 + 511) / 512 }
        if bytes <= 16384 { return 14 + (bytes - 8192 + 1023) / 1024 }
        return 22 + (bytes - 16384 + 4095) / 4096
    }

    static func bytes(_ index: Int) -> Int {
        if index <= 14 { return 1024 + index * 512 }
        if index <= 22 { return 8192 + (index - 14) * 1024 }
        return 16384 + (index - 22) * 4096
    }
}

final class CacheShard: @unchecked Sendable {  // Everything below is under `lock`.
    private struct Chunk {
        var bytes: UnsafeMutableRawPointer
        /// SizeClass.framesMax of them, never freed while the cache lives.
        var frames: BlockFramePointer
        var sizeClass: Int
        var frameCount: Int
    }

    private struct Class {
        /// Indices into `chunks`.
        var chunks: [Int] = []
        var free: BlockFramePointer?
        var handChunk = 0
        var handFrame = 0
        var frameCount = 0
        /// Since the last rebalancing.
        var evictions = 0
        /// Blocks that scans brought, oldest first from `coldHead`. May hold frames that have moved on meanwhile.
        var cold: [BlockFramePointer] = []
        var coldHead = 0
        var coldCount: Int { cold.count - coldHead }
    }

    let lock = Lock()
    private let index: Int
    private let cache: UnsafeRawPointer
    private let usesHugePages: Bool
    private var budget: Int
    private var chunks: [Chunk] = []
    /// Chunks without memory in use.
    private var spare: [Int] = []
    private var regions: [UnsafeMutableRawPointer] = []
    private var classes: [Class]
    private var chunkBytes = 0
    private var ownBytes = 0
    /// All frames with memory of their own that ever were, for the hand; free ones are in `ownFree`.
    private var own: [BlockFramePointer] = []
    private var ownFree: BlockFramePointer?
    private var ownHand = 0
    private var evictionsSinceRebalance = 0
    private(set) var evictions: UInt64 = 0
    private(set) var insertions: UInt64 = 0
    private static let regionBytes = 2 << 20
    private static let rebalanceEvery = 2048
    private static let coldMax = 4096

    init(index: Int, budget: Int, cache: UnsafeRawPointer) {
        self.index = index
        self.budget = budget
        self.cache = cache
        usesHugePages = budget >= 8 << 20
        classes = Array(repeating: Class(), count: SizeClass.count)
    }

    deinit {
        for frame in own {
            if frame.pointee.capacity > 0 { free(frame.pointee.bytes) }
            frame.deallocate()
        }
        for chunk in chunks { chunk.frames.deallocate() }
        for region in regions { region.deallocate() }
    }

    /// Bytes of memory that hold blocks or are kept for them.
    var usedBytes: Int { chunkBytes + ownBytes }

    // MARK: Taking and giving back

    /// A private frame for `bytes` bytes. Lock held.
    func allocate(_ bytes: Int, cold: Bool) -> BlockFramePointer {
        insertions &+= 1
        guard bytes <= SizeClass.largestBytes else {
            // A block of more than a quarter of the shard is not worth what it would displace.
            return allocateOwn(bytes, makeRoom: bytes <= budget / 4)
        }
        let wanted = SizeClass.index(bytes)
        let frame =
            takeFree(wanted) ?? takeNewChunk(wanted) ?? takeCold(wanted) ?? takeByClock(wanted)
            ?? takeBigger(wanted) ?? takeForeignChunk(wanted) ?? allocateOwn(bytes, makeRoom: false)
        frame.pointee.isCold = cold && frame.pointee.sizeClass != SizeClass.own
        if frame.pointee.isCold { appendCold(frame, Int(frame.pointee.sizeClass)) }
        return frame
    }

    /// Takes a frame back whose last pin is gone. Lock held; the frame is private or out of circulation.
    func recycle(_ frame: BlockFramePointer) {
        frame.setOwner(0)
        frame.makeFree()
        if Int(frame.pointee.sizeClass) == SizeClass.own {
            ownBytes -= Int(frame.pointee.capacity)
            free(frame.pointee.bytes)
            frame.pointee.capacity = 0
            frame.pointee.next = ownFree
            ownFree = frame
        } else {
            let c = Int(frame.pointee.sizeClass)
            frame.pointee.next = classes[c].free
            classes[c].free = frame
        }
    }

    /// Cuts the way from the table to a frame that was just made private.
    private func cut(_ frame: BlockFramePointer) {
        evictions &+= 1
        let owner = frame.owner
        if owner != 0, let slot = UnsafeMutableRawPointer(bitPattern: UInt(owner)) {
            // Only this frame can be in the slot while the frame is live; the table cannot go away meanwhile, because
            // it takes this lock to detach its frames.
            _ = valk_cas_u64(slot, UInt64(UInt(bitPattern: frame)), 0)
            frame.setOwner(0)
        }
    }

    private func takeFree(_ c: Int) -> BlockFramePointer? {
        guard let frame = classes[c].free else { return nil }
        classes[c].free = frame.pointee.next
        frame.makePrivate()
        return frame
    }

    private func takeNewChunk(_ c: Int) -> BlockFramePointer? {
        guard usedBytes + SizeClass.chunkBytes <= budget else { return nil }
        if spare.isEmpty { addRegion() }
        guard let chunk = spare.popLast() else { return nil }
        chunkBytes += SizeClass.chunkBytes
        carve(chunk, c)
        return takeFree(c)
    }

    private func takeCold(_ c: Int) -> BlockFramePointer? {
        let limit = min(Self.coldMax, max(4, classes[c].frameCount / 16))
        var tries = 4
        while classes[c].coldCount >= limit && tries > 0 {
            tries -= 1
            let frame = classes[c].cold[classes[c].coldHead]
            classes[c].coldHead += 1
            if Int(frame.pointee.sizeClass) == c && frame.pointee.isCold, case .taken = frame.sweep() {
                cut(frame)
                return frame
            }
        }
        return nil
    }

    private func appendCold(_ frame: BlockFramePointer, _ c: Int) {
        if classes[c].coldCount >= Self.coldMax { classes[c].coldHead += 1 }
        if classes[c].coldHead > Self.coldMax {
            classes[c].cold.removeFirst(classes[c].coldHead)
            classes[c].coldHead = 0
        }
        classes[c].cold.append(frame)
    }

    private func takeByClock(_ c: Int) -> BlockFramePointer? {
        let count = classes[c].chunks.count
        guard count > 0 else { return nil }
        // Heat is at most 3: four rounds find a frame unless all are pinned.
        var steps = classes[c].frameCount * 4 + 4
        while steps > 0 {
            let chunk = chunks[classes[c].chunks[classes[c].handChunk]]
            var at = classes[c].handFrame
            while at < chunk.frameCount && steps > 0 {
                steps -= 1
                let frame = chunk.frames + at
                at += 1
                if case .taken = frame.sweep() {
                    classes[c].handFrame = at
                    cut(frame)
                    classes[c].evictions += 1
                    evictionsSinceRebalance += 1
                    if evictionsSinceRebalance >= Self.rebalanceEvery { rebalance() }
                    return frame
                }
            }
            classes[c].handFrame = 0
            classes[c].handChunk = (classes[c].handChunk + 1) % count
        }
        return nil
    }

    /// For a class without any memory: a frame of the next bigger class that has some. A few odd blocks are not worth a
    /// chunk of sixty others; when they are many, `rebalance` gives the class its own.
    private func takeBigger(_ c: Int) -> BlockFramePointer? {
        guard classes[c].chunks.isEmpty else { return nil }
        classes[c].evictions += 1
        var bigger = c + 1
        while bigger < classes.count {
            if !classes[bigger].chunks.isEmpty { return takeFree(bigger) ?? takeCold(bigger) ?? takeByClock(bigger) }
            bigger += 1
        }
        return nil
    }

    /// For a class without any memory, when no bigger one has any: a chunk of the class under the least pressure.
    private func takeForeignChunk(_ c: Int) -> BlockFramePointer? {
        guard classes[c].chunks.isEmpty, let donor = leastPressed(except: c), let chunk = emptyChunk(of: donor)
        else { return nil }
        carve(chunk, c)
        return takeFree(c)
    }

    private func allocateOwn(_ bytes: Int, makeRoom: Bool) -> BlockFramePointer {
        let capacity = (bytes + 4095) & ~4095
        if makeRoom { shrink(to: budget - capacity) }
        guard let memory = malloc(capacity) else { preconditionFailure("no memory for a block of \(bytes) bytes") }
        let frame: BlockFramePointer
        if let reused = ownFree {
            ownFree = reused.pointee.next
            frame = reused
            frame.pointee.bytes = memory
            frame.pointee.capacity = UInt32(capacity)
        } else {
            frame = .allocate(capacity: 1)
            frame.initialize(
                to: BlockFrame(
                    shard: index, sizeClass: SizeClass.own, capacity: capacity, bytes: memory, cache: cache))
            own.append(frame)
        }
        // Without room it stays a guest: in no slot, freed at the last unpin.
        frame.pointee.isGuest = !makeRoom || usedBytes + capacity > budget
        ownBytes += capacity
        frame.makePrivate()
        return frame
    }

    // MARK: Chunks

    private func addRegion() {
        let region = UnsafeMutableRawPointer.allocate(byteCount: Self.regionBytes, alignment: Self.regionBytes)
        if usesHugePages { madvise(region, Self.regionBytes, MADV_HUGEPAGE) }
        regions.append(region)
        var offset = Self.regionBytes - SizeClass.chunkBytes
        while offset >= 0 {
            let frames = BlockFramePointer.allocate(capacity: SizeClass.framesMax)
            for i in 0..<SizeClass.framesMax {
                (frames + i).initialize(
                    to: BlockFrame(shard: index, sizeClass: 0, capacity: 0, bytes: region + offset, cache: cache))
            }
            chunks.append(Chunk(bytes: region + offset, frames: frames, sizeClass: -1, frameCount: 0))
            spare.append(chunks.count - 1)
            offset -= SizeClass.chunkBytes
        }
    }

    /// Cuts an empty chunk into frames of class `c`, all free.
    private func carve(_ chunk: Int, _ c: Int) {
        let size = SizeClass.bytes(c)
        let count = SizeClass.chunkBytes / size
        let frames = chunks[chunk].frames
        var i = count - 1
        while i >= 0 {
            let frame = frames + i
            frame.pointee.sizeClass = UInt16(c)
            frame.pointee.capacity = UInt32(size)
            frame.pointee.bytes = chunks[chunk].bytes + i * size
            frame.pointee.next = classes[c].free
            frame.makeFree()
            classes[c].free = frame
            i -= 1
        }
        chunks[chunk].sizeClass = c
        chunks[chunk].frameCount = count
        classes[c].chunks.append(chunk)
        classes[c].frameCount += count
    }

    /// Empties one chunk of class `c` and takes it from the class; nil when all have pinned blocks.
    private func emptyChunk(of c: Int) -> Int? {
        var tries = classes[c].chunks.count
        while tries > 0 {
            tries -= 1
            if classes[c].handChunk >= classes[c].chunks.count { classes[c].handChunk = 0 }
            let position = classes[c].handChunk
            let chunk = classes[c].chunks[position]
            let frames = chunks[chunk].frames
            let count = chunks[chunk].frameCount
            var busy = false
            for i in 0..<count {
                let frame = frames + i
                switch frame.sweep(force: true) {
                case .taken:
                    cut(frame)
                    recycle(frame)
                case .busy:
                    busy = true
                case .free, .cooled:
                    break
                }
            }
            if busy {
                classes[c].handChunk = (position + 1) % classes[c].chunks.count
                continue
            }
            // All of its frames are on the class's free list now: take them off.
            var kept: BlockFramePointer?
            var at = classes[c].free
            while let frame = at {
                at = frame.pointee.next
                if frame < frames || frame >= frames + count {
                    frame.pointee.next = kept
                    kept = frame
                }
            }
            classes[c].free = kept
            classes[c].chunks.remove(at: position)
            classes[c].frameCount -= count
            classes[c].handChunk = 0
            classes[c].handFrame = 0
            chunks[chunk].sizeClass = -1
            chunks[chunk].frameCount = 0
            return chunk
        }
        return nil
    }

    private func leastPressed(except c: Int) -> Int? {
        var best: Int?
        var bestPressure = Double.infinity
        for i in 0..<classes.count where i != c && !classes[i].chunks.isEmpty {
            let pressure = Double(classes[i].evictions + 1) / Double(classes[i].chunks.count)
            if pressure < bestPressure {
                best = i
                bestPressure = pressure
            }
        }
        return best
    }

    /// Moves one chunk from the class under the least pressure to the one under the greatest.
    private func rebalance() {
        evictionsSinceRebalance = 0
        var worst = 0
        var worstPressure = 0.0
        for i in 0..<classes.count {
            let pressure = Double(classes[i].evictions) / Double(max(1, classes[i].chunks.count))
            if pressure > worstPressure {
                worst = i
                worstPressure = pressure
            }
        }
        if let donor = leastPressed(except: worst),
            Double(classes[donor].evictions + 1) / Double(classes[donor].chunks.count) * 4 < worstPressure,
            let chunk = emptyChunk(of: donor)
        {
            carve(chunk, worst)
        }
        for i in 0..<classes.count { classes[i].evictions = 0 }
    }

    // MARK: Budget

    /// Lock held.
    func setBudget(_ bytes: Int) {
        budget = bytes
        shrink(to: bytes)
    }

    /// Gives memory back until at most `target` bytes are in use, or everything left is pinned.
    private func shrink(to target: Int) {
        var steps = own.count * 4
        while usedBytes > target && ownBytes > 0 && steps > 0 {
            steps -= 1
            ownHand = (ownHand + 1) % own.count
            let frame = own[ownHand]
            if case .taken = frame.sweep() {
                cut(frame)
                recycle(frame)
            }
        }
        while usedBytes > target, let donor = leastPressed(except: -1), releaseChunk(of: donor) {}
    }

    private func releaseChunk(of c: Int) -> Bool {
        guard let chunk = emptyChunk(of: c) else { return false }
        madvise(chunks[chunk].bytes, SizeClass.chunkBytes, MADV_DONTNEED)
        chunkBytes -= SizeClass.chunkBytes
        spare.append(chunk)
        return true
    }
}
