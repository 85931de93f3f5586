// Reading ahead from a device that is slow: what a thread is going to read one by one it asks for all at once, so that
// the device works on all of it while the thread waits for the first.
//
// A request costs a system call of about a microsecond and no other thread, where waking a reader thread costs a
// hundred; and what is asked for in the order of its place the device reads in fewer steps. It is done only by threads
// that may wait, and only for what is not in memory. A single look-up has nothing to ask for ahead: of two tables that
// may have a key the second is needed only when the first one's filter was wrong, once in some hundred reads.

import CValk
import Synchronization
import ValkBase
import ValkDisk

extension Store {
    /// Asks the device for values in the log that are not in memory. Sorts the pointers. `keyBytes`: of their keys,
    /// about.
    func askFor(_ pointers: UnsafeMutablePointer<ValuePointer>, _ count: Int, keyBytes: Int) {
        var kept = 0
        for i in 0..<count where !values.seemsToHold(pointers[i]) {
            pointers[kept] = pointers[i]
            kept += 1
        }
        var wanted = UnsafeMutableBufferPointer(start: pointers, count: kept)
        wanted.sort {
            ($0.segment, $0.offset) < ($1.segment, $1.offset)
        }
        for pointer in wanted { log.askFor(pointer, keyBytes: keyBytes) }
    }
}

extension ValueLog {
    /// Asks the device for the record that a pointer leads to. Opens its file when it is not open.
    func askFor(_ pointer: ValuePointer, keyBytes: Int) {
        let position = LogPosition(segment: pointer.segment, offset: pointer.offset)
        // What has not been written yet is in memory.
        if position.rawValue >= writtenPosition.load(ordering: .acquiring) { return }
        let start = Int(pointer.offset)
        let bytes = LogFormat.valueHeaderBytes + keyBytes + Int(pointer.length)
        // Who then reads the value learns what is wrong with the file.
        guard let file = try? files.file(pointer.segment, mayBlock: true) else { return }
        file.willNeed(start..<start + bytes)
    }
}

extension StoreReader {
    /// Keys of one call at most.
    package static var readAheadKeysMax: Int { 64 }

    /// Asks the device for what the look-ups of `count` keys will read: table blocks first and then, as the blocks
    /// arrive, values in the log. Waits for the device, and throws nothing: whatever is wrong the look-ups will find
    /// again. Between commands, on the reader's thread, which may wait.
    package func readAhead(_ keys: UnsafePointer<ByteView>, _ count: Int) {
        precondition(mayBlock && count <= Self.readAheadKeysMax, "\(count) keys to read ahead, \(mayBlock)")
        begin()
        defer { end() }
        for i in 0..<count { askForBlock(keys[i]) }
        withUnsafeTemporaryAllocation(of: ValuePointer.self, capacity: Self.readAheadKeysMax) { room in
            guard let pointers = room.baseAddress else { return }
            var found = 0
            var keyBytes = 0
            for i in 0..<count {
                guard let entry = try? find(keys[i]), entry.pointee.isSeparated else { continue }
                (pointers + found).initialize(to: entry.pointee.pointer)
                found += 1
                keyBytes = max(keyBytes, keys[i].count)
            }
            if found > 1 { store.askFor(pointers, found, keyBytes: keyBytes) }
        }
    }

    /// Asks for the first block that may have the key, if it is not in memory.
    private func askForBlock(_ key: ByteView) {
        let hash = key.hash64
        for t in 0..<view.memoryCount
        where view.memory[t]._withUnsafeGuaranteedRef({ $0.mayContain(hash) }) { return }
        var path = view.path
        while let run = path.next(key) {
            switch run._withUnsafeGuaranteedRef({ $0.place(key, hash) }) {
            case .nowhere: continue
            // It is loaded when the key is looked up.
            case .unknown: return
            case .block(let table, let block): return table._withUnsafeGuaranteedRef { $0.askFor(block) }
            }
        }
    }
}

extension Table {
    /// Asks the device for a block, unless it is in a frame.
    fileprivate func askFor(_ block: Int) {
        if valk_load_relaxed_u64(index.slots + block) != 0 { return }
        let reference = index.blocks[block]
        file.willNeed(reference.offset..<reference.offset + Int(reference.stored))
    }
}
