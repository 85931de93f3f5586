// Reading separated values. Each read is checked three ways: the pointer's checksum is the record's, the record's is
// that of its bytes, and the record holds the key that was looked for.

import CValk
import Glibc
import Synchronization
import ValkBase
import ValkDisk

extension ValueLog {
    /// Appends the record that `pointer` names to `buffer` and returns its value, valid until the buffer changes. `key`
    /// is the key of the entry that holds the pointer. One read of the file, from memory if the frame has not been
    /// written yet. Throws `.wouldBlock` (only when not `mayBlock`), `.damaged` or `.readFailed` (reported). Any
    /// thread.
    package func readValue(
        _ pointer: ValuePointer, key: ByteView, into buffer: UnsafeMutablePointer<ByteBuffer>, mayBlock: Bool
    ) throws(Interruption) -> ByteView {
        let size = LogFormat.valueHeaderBytes &+ key.count &+ Int(pointer.length)
        let record = buffer.pointee.reserve(size)
        let position = LogPosition(segment: pointer.segment, offset: pointer.offset)
        let isPending = position.rawValue >= writtenPosition.load(ordering: .acquiring)
        if !isPending || !copyPending(position, size, to: record) {
            let target = UnsafeMutableRawBufferPointer(start: record, count: size)
            try readRecord(pointer, into: target, mayBlock)
        }
        guard record.load(as: UInt32.self).littleEndian == pointer.crc,
            UnsafeRawPointer(record).fixed(4, UInt32.self) == UInt32(truncatingIfNeeded: size),
            UnsafeRawPointer(record).fixed(24, UInt32.self) == UInt32(truncatingIfNeeded: key.count),
            valk_crc32c(0, record + 4, size &- 4) == pointer.crc,
            memcmp(record + LogFormat.valueHeaderBytes, key.base, key.count) == 0
        else { throw reportDamage(pointer, "value record is not what the index says") }
        buffer.pointee.advance(size)
        return ByteView(
            base: UnsafeRawPointer(record + LogFormat.valueHeaderBytes + key.count), count: Int(pointer.length))
    }

    private func readRecord(
        _ pointer: ValuePointer, into target: UnsafeMutableRawBufferPointer, _ mayBlock: Bool
    ) throws(Interruption) {
        let count: Int
        do {
            guard let file = try files.file(pointer.segment, mayBlock: mayBlock) else { throw Interruption.wouldBlock }
            if mayBlock {
                count = try file.read(into: target, at: Int(pointer.offset))
            } else {
                switch try file.tryRead(into: target, at: Int(pointer.offset)) {
                case .read(let n): count = n
                case .wouldBlock: throw Interruption.wouldBlock
                }
            }
        } catch let error as DiskError {
            report(.readFailed(StoreError(error)))
            throw .readFailed
        } catch let error as StoreError {
            guard error.kind == .corruption || error.kind == .newerFormat else {
                report(.readFailed(error))
                throw .readFailed
            }
            report(.damaged(error))
            throw .damaged
        } catch {
            throw .wouldBlock
        }
        if count < target.count { throw reportDamage(pointer, "segment ends before the value") }
    }

    /// Copies from a frame in memory. False when no frame there holds the position: it has been written meanwhile.
    @inline(never)
    private func copyPending(_ position: LogPosition, _ size: Int, to target: UnsafeMutableRawPointer) -> Bool {
        commitLock.lock()
        defer { commitLock.unlock() }
        if let open = state.pointee.open, copy(position, size, from: open, to: target) { return true }
        var next = state.pointee.firstQueued
        while let frame = next {
            if copy(position, size, from: frame, to: target) { return true }
            next = frame.pointee.next
        }
        return false
    }

    private func copy(
        _ position: LogPosition, _ size: Int, from frame: FramePointer, to target: UnsafeMutableRawPointer
    ) -> Bool {
        guard let segment = frame.pointee.segment, segment.number == position.segment else { return false }
        let start = Int(position.offset) - frame.pointee.start
        guard start >= LogFormat.frameHeaderBytes, start + size <= frame.pointee.values.count else { return false }
        memcpy(target, frame.pointee.values.view.base + start, size)
        return true
    }

    @inline(never)
    private func reportDamage(_ pointer: ValuePointer, _ message: String) -> Interruption {
        let path = files.path(pointer.segment)
        report(.damaged(StoreError(.corruption, message, path: path, offset: Int(pointer.offset))))
        return .damaged
    }
}
