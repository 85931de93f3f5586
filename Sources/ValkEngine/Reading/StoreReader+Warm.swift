// Look-ahead for pipelines: before the commands of a pipeline run one by one, the memory that their look-ups will touch
// is asked for all at once, one step of the search for all keys before the next step for any. A search is a chain of
// loads, each of which may wait for memory; sixteen chains side by side wait little longer than one.
//
// Wrong guesses cost time, never correctness: what was announced and is not asked for is forgotten, what is asked for
// and was not announced is searched as always.

import CValk
import ValkBase

extension StoreReader {
    /// Keys of one call at most.
    package static var warmKeysMax: Int { LookAhead.capacity }

    /// Prepares the look-ups and writes of `count` keys. The keys' bytes must stay as they are until the next call of
    /// `warm` or `cool`. May be called at any time between commands, on the reader's thread.
    package func warm(_ keys: UnsafePointer<ByteView>, _ count: Int) {
        precondition(count <= StoreReader.warmKeysMax, "\(count) keys to warm")
        begin()
        let ahead = self.ahead
        ahead.pointee.reset()
        let reads = ahead.pointee.sawReads
        let writes = ahead.pointee.sawWrites
        ahead.pointee.forgetValues()
        ahead.pointee.sawReads = false
        ahead.pointee.sawWrites = false
        let view = self.view
        if writes { warmTable(view.memory[0], keys, count) }
        if reads { warmReads(view, keys, count, skipsActive: writes) }
    }

    /// Forgets what `warm` was told: its keys' bytes are about to change.
    package func cool() { ahead.pointee.reset() }

    /// A command of this thread has written; `warm` then prepares writes too.
    @inline(__always)
    package func noteWrite() { ahead.pointee.sawWrites = true }

    private func warmTable(_ table: Unmanaged<SortedTable>, _ keys: UnsafePointer<ByteView>, _ count: Int) {
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2 * LookAhead.capacity) { words in
            guard let slots = words.baseAddress else { return }
            let depths = UnsafeMutableRawPointer(slots + LookAhead.capacity).assumingMemoryBound(to: Int.self)
            // A new key goes into the filter too.
            for i in 0..<count { table._withUnsafeGuaranteedRef { $0.prefetchFilter(keys[i].hash64) } }
            table._withUnsafeGuaranteedRef { $0.warm(keys, count, slots, depths) }
            for i in 0..<count where slots[i] & 1 != 0 {
                ahead.pointee.noteValue(TableRecord(SortedTable.address(slots[i] & ~1)))
            }
        }
    }

    private func warmReads(_ view: View, _ keys: UnsafePointer<ByteView>, _ count: Int, skipsActive: Bool) {
        let ahead = self.ahead
        let tables = view.memory
        for i in 0..<count {
            let item = LookAhead.Item(key: keys[i], hash: keys[i].hash64, path: view.path)
            ahead.pointee.add(item)
            for t in 0..<view.memoryCount { tables[t]._withUnsafeGuaranteedRef { $0.prefetchFilter(item.hash) } }
            var path = item.path
            while let run = path.next(keys[i]) { run._withUnsafeGuaranteedRef { $0.prefetch(keys[i], item.hash) } }
        }
        let items = ahead.pointee.items
        var inMemory: UInt32 = 0
        withUnsafeTemporaryAllocation(of: ByteView.self, capacity: LookAhead.capacity) { buffer in
            guard let found = buffer.baseAddress else { return }
            for t in 0..<view.memoryCount {
                var n = 0
                for i in 0..<count where inMemory >> UInt32(i) & 1 == 0 {
                    if tables[t]._withUnsafeGuaranteedRef({ $0.mayContain(items[i].hash) }) {
                        inMemory |= 1 << UInt32(i)
                        (found + n).initialize(to: items[i].key)
                        n &+= 1
                    }
                }
                if n > 0 && !(t == 0 && skipsActive) { warmTable(tables[t], found, n) }
            }
        }
        if view.hasRuns { warmRuns(count, inMemory) }
        if !ahead.pointee.values.isEmpty { values.prefetch(ahead.pointee.values) }
    }

    /// Keys with a bit in `inMemory` are most likely found before any run is asked.
    private func warmRuns(_ count: Int, _ inMemory: UInt32) {
        let items = ahead.pointee.items
        for i in 0..<count where inMemory >> UInt32(i) & 1 == 0 {
            let item = items + i
            item.pointee.settle()
            item.pointee.table?._withUnsafeGuaranteedRef { valk_prefetch($0.index.slots + item.pointee.block) }
        }
        for i in 0..<count {
            let item = items + i
            item.pointee.table?._withUnsafeGuaranteedRef {
                let frame = valk_load_acquire_u64($0.index.slots + item.pointee.block)
                if let frame = UnsafeRawPointer(bitPattern: UInt(frame)) { valk_prefetch(frame) }
            }
        }
        for i in 0..<count {
            let item = items + i
            item.pointee.table?._withUnsafeGuaranteedRef {
                guard let frame = BlockFramePointer.pin(slot: $0.index.slots + item.pointee.block, warm: true)
                else { return }
                item.pointee.frame = frame
                BlockView(frame).prefetch()
            }
        }
        for i in 0..<count {
            let item = items + i
            guard let frame = item.pointee.frame else { continue }
            var place = BodyPlace()
            switch BlockView(frame).locate(item.pointee.key, UInt64.max, &place) {
            case .found:
                item.pointee.body = place.at
                item.pointee.bodyLength = place.length
                valk_prefetch(place.at)
                valk_prefetch(place.at + 64)
            case .absent:
                _ = item.pointee.path.next(item.pointee.key)
                fallthrough
            case .continues:
                frame.unpin()
                item.pointee.frame = nil
                item.pointee.table = nil
            }
        }
        for i in 0..<count where items[i].frame != nil {
            ahead.pointee.noteValue(BodyPlace(at: items[i].body, length: items[i].bodyLength))
        }
    }
}

extension LookAhead.Item {
    /// Goes to the first run that may hold the key.
    @inline(__always)
    fileprivate mutating func settle() {
        while true {
            let here = path
            guard let run = path.next(key) else {
                isPast = true
                return
            }
            switch run._withUnsafeGuaranteedRef({ $0.place(key, hash) }) {
            case .nowhere: continue
            case .block(let table, let block):
                self.table = table
                self.block = block
            case .unknown: break
            }
            path = here
            return
        }
    }
}
