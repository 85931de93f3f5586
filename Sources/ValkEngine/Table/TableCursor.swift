// Walks one table, forward and backward.
//
// The cursor holds the block it stands in: pinned in the cache, or in memory of its own when it merges. Keys are put
// together in `key`, values are views into the block; both are valid until the cursor moves. Going back re-reads at
// most one restart run, because keys are stored as differences from the key before.
//
// A cursor that may wait for the disk and walks on reads several blocks at once: twice as many each time, up to a
// bound. One thread at a time; the pins' thread.

import CValk
import Glibc
import ValkBase
import ValkDisk

/// What a cursor is for, which decides what its blocks are worth to the cache.
package enum TableAccess: Sendable {
    /// A short look at a few keys: as good as a point read.
    case read
    /// A long walk: its blocks are the first to go again.
    case scan
    /// Rewriting the table: uses what is in the cache, brings nothing in.
    case merge
}

package final class TableCursor: EntryCursor {
    private let table: Table
    private let access: TableAccess
    private let pins: UnsafeMutablePointer<BlockPins>
    /// Whether the cursor waits for the disk or throws `.wouldBlock`.
    package var mayBlock: Bool

    // The block at the cursor.
    private var block = -1
    private var frame: BlockFramePointer?
    private var view = BlockView(base: UnsafeRawPointer(bitPattern: 8).unsafelyUnwrapped, count: 0)
    /// The content of the block at the cursor when it is in no frame.
    private var content = ByteBuffer()

    // The entry at the cursor: where its key starts, where the next key and body do, and in which restart run it is.
    private var at = 0
    private var end = 0
    private var bodyEnd = 0
    private var run = 0
    private let key: UnsafeMutablePointer<ByteBuffer>
    private let current: UnsafeMutablePointer<Entry>

    // Blocks that were read ahead, as they are in the file.
    private var window = ByteBuffer()
    private var windowBlocks = 0..<0
    private var windowBytes: Int
    private let windowBytesMax: Int
    private static let windowBytesMin = 8 << 10

    /// Where in the block `upcoming` goes on: offsets of the next key and the next body.
    private var toldKey = 0
    private var toldBody = 0

    /// `pins` gives scratch memory and counts; it must outlive the cursor. The cursor keeps the table alive.
    package init(_ table: Table, _ pins: UnsafeMutablePointer<BlockPins>, access: TableAccess, mayBlock: Bool) {
        self.table = table
        self.access = access
        self.pins = pins
        self.mayBlock = mayBlock
        windowBytesMax = access == .merge ? 256 << 10 : 64 << 10
        windowBytes = access == .merge ? windowBytesMax : Self.windowBytesMin
        key = .allocate(capacity: 1)
        key.initialize(to: ByteBuffer())
        current = .allocate(capacity: 1)
        current.initialize(to: Entry())
    }

    deinit {
        frame?.unpin()
        key.deinitialize(count: 1)
        key.deallocate()
        current.deallocate()
    }

    /// Number of the block at the cursor, -1 when it is nowhere.
    var currentBlock: Int { block }

    override func upcoming(_ pointers: UnsafeMutablePointer<ValuePointer>, _ room: Int) -> Int {
        guard isValid else { return 0 }
        if toldKey < end { (toldKey, toldBody) = (end, bodyEnd) }
        var count = 0
        while count < room && toldKey < view.bodiesStart {
            let head = EntryHead(view.base + toldKey)
            if let pointer = BodyPlace(at: view.base + toldBody, length: head.body).pointer {
                (pointers + count).initialize(to: pointer)
                count += 1
            }
            toldKey = head.end - view.base
            toldBody += head.body
        }
        return count
    }

    // MARK: Moving

    @inline(__always)
    private func prepare() throws(Interruption) {
        if !table.isLoaded, let interruption = table.prepare(mayBlock: mayBlock) {
            leave()
            throw interruption
        }
    }

    override package func seekToFirst() throws(Interruption) {
        try prepare()
        guard table.index.count > 0 else { return leave() }
        try enter(0)
        stepToFirst()
    }

    override package func seekToLast() throws(Interruption) {
        try prepare()
        guard table.index.count > 0 else { return leave() }
        try enter(table.index.count - 1)
        stepToLast()
    }

    override package func seek(_ wanted: ByteView) throws(Interruption) {
        try prepare()
        let target = table.index.lowerBound(wanted)
        guard target < table.index.count else { return leave() }
        try enter(target)
        let prefix = view.prefix
        if !wanted.starts(with: prefix) {
            if wanted.compare(prefix) < 0 { return stepToFirst() }
            return try enterNext()
        }
        run = view.lastRestart(before: wanted.dropFirst(prefix.count))
        decodeRestart()
        while key.pointee.view.compare(wanted) < 0 {
            if end == view.bodiesStart { return try enterNext() }
            step()
        }
    }

    override package func seekBefore(_ wanted: ByteView) throws(Interruption) {
        try seek(wanted)
        if isValid { try previous() } else { try seekToLast() }
    }

    override package func next() throws(Interruption) {
        precondition(isValid, "next() of a cursor that is nowhere")
        if end == view.bodiesStart { return try enterNext() }
        step()
    }

    override package func previous() throws(Interruption) {
        precondition(isValid, "previous() of a cursor that is nowhere")
        if at == view.keysStart {
            guard block > 0 else { return leave() }
            try enter(block - 1)
            return stepToLast()
        }
        let goal = at
        if at == view.restartKey(run) { run -= 1 }
        stepTo(end: goal)
    }

    // MARK: Inside a block

    private func stepToFirst() {
        run = 0
        decodeRestart()
    }

    private func stepToLast() {
        run = view.restartCount - 1
        stepTo(end: view.bodiesStart)
    }

    /// To the entry of the current run whose key ends at `goal`.
    private func stepTo(end goal: Int) {
        decodeRestart()
        while end < goal { decode(end, bodyEnd) }
    }

    /// To the next entry, which is in this block.
    private func step() {
        if run + 1 < view.restartCount && end == view.restartKey(run + 1) {
            run += 1
            if run + 1 == view.restartCount { prefetchNext() }
        }
        decode(end, bodyEnd)
    }

    /// Asks the processor for the block behind this one, if it is in memory.
    @inline(__always)
    private func prefetchNext() {
        guard access != .merge, block + 1 < table.index.count else { return }
        let address = valk_load_acquire_u64(table.index.slots + block + 1)
        // A frame stays a frame while the cache lives; which block is in it, `enter` finds out.
        if let frame = BlockFramePointer(bitPattern: UInt(address)) { BlockView(frame).prefetch() }
    }

    /// To the first entry of the current run.
    private func decodeRestart() { decode(view.restartKey(run), view.restartBody(run)) }

    /// Makes the entry at these offsets the current one: a restart, or the one after the entry that was current.
    private func decode(_ offset: Int, _ body: Int) {
        let head = EntryHead(view.base + offset)
        key.pointee.truncate(view.prefixLength + head.shared)
        key.pointee.append(head.key, head.unshared)
        at = offset
        end = head.end - view.base
        bodyEnd = body + head.body
        view.readBody(view.base + body, head.body, into: current)
        current.pointee.key = key.pointee.view
        position = UnsafePointer(current)
    }

    // MARK: From block to block

    private func leave() {
        frame?.unpin()
        frame = nil
        block = -1
        position = nil
    }

    private func enterNext() throws(Interruption) {
        guard block + 1 < table.index.count else { return leave() }
        try enter(block + 1)
        stepToFirst()
    }

    /// Makes `target` the current block; the caller then steps to an entry. On a throw the cursor is nowhere.
    private func enter(_ target: Int) throws(Interruption) {
        if target == block && frame != nil {
            position = nil
            return begin()
        }
        let before = block
        leave()
        if let hit = BlockFramePointer.pin(slot: table.index.slots + target, warm: access == .read) {
            pins.pointee.countHit()
            hold(hit, target)
        } else if !mayBlock {
            try hold(table.load(target, pins, mayBlock: false, cold: access != .read), target)
        } else {
            if !windowBlocks.contains(target) { try readAhead(target, before: before) }
            let blocks = table.index.blocks
            let raw = window.view.base + (blocks[target].offset - blocks[windowBlocks.lowerBound].offset)
            if access != .merge {
                try hold(table.admit(target, raw, cold: access == .scan), target)
            } else {
                content.removeAll()
                let count = blocks[target].content
                if let problem = table.unpack(target, raw, into: content.reserve(count)) {
                    _ = table.damaged(target, problem)
                    throw .damaged
                }
                content.advance(count)
                view = BlockView(base: content.view.base, count: count)
                block = target
            }
        }
        begin()
    }

    /// Before the first entry of a block is looked at.
    @inline(__always)
    private func begin() {
        (toldKey, toldBody) = (0, 0)
        key.pointee.removeAll()
        key.pointee.append(view.prefix)
    }

    private func hold(_ frame: BlockFramePointer, _ target: Int) {
        self.frame = frame
        view = BlockView(base: UnsafeRawPointer(frame.pointee.bytes), count: Int(frame.pointee.count))
        view.prefetch()
        block = target
    }

    private func hold(_ load: Table.Load, _ target: Int) throws(Interruption) {
        switch load {
        case .frame(let frame): hold(frame, target)
        case .wouldBlock: throw .wouldBlock
        case .damaged: throw .damaged
        case .readFailed: throw .readFailed
        }
    }

    /// Fills the window with `target` and what the cursor will want after it.
    private func readAhead(_ target: Int, before: Int) throws(Interruption) {
        pins.pointee.countMiss()
        let blocks = table.index.blocks
        var range = target..<(target + 1)
        var bytes = Int(blocks[target].stored)
        let walksOn = before >= 0 && (target == before + 1 || target == before - 1)
        let limit = access == .merge || walksOn ? windowBytes : 0
        if before >= 0 && target == before - 1 {
            while range.lowerBound > 0 && bytes + Int(blocks[range.lowerBound - 1].stored) <= limit {
                range = (range.lowerBound - 1)..<range.upperBound
                bytes += Int(blocks[range.lowerBound].stored)
            }
        } else {
            while range.upperBound < table.index.count && bytes + Int(blocks[range.upperBound].stored) <= limit {
                bytes += Int(blocks[range.upperBound].stored)
                range = range.lowerBound..<(range.upperBound + 1)
            }
        }
        if walksOn { windowBytes = min(windowBytes * 2, windowBytesMax) }
        windowBlocks = 0..<0
        window.removeAll()
        let memory = UnsafeMutableRawBufferPointer(start: window.reserve(bytes), count: bytes)
        let read: Int
        do { read = try table.file.read(into: memory, at: blocks[range.lowerBound].offset) } catch {
            table.report(StoreError(error))
            throw .readFailed
        }
        guard read == bytes else {
            _ = table.damaged(target, "ends early, \(read) of \(bytes) bytes from block \(range.lowerBound)")
            throw .damaged
        }
        window.advance(bytes)
        windowBlocks = range
    }
}
