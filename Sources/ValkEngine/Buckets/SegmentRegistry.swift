// Who still needs which log segment. Memory tables hold the segments that their records and values lie in, table files
// those that their pointers lead to. When the last hold of a segment goes, the janitor retires it.
//
// A segment whose count fell to zero is never held again: new holds are made only for segments that something older
// holds still (a flush copies pointers out of a memory table, a merge out of files that views keep).

import ValkBase

final class SegmentRegistry: @unchecked Sendable {  // State behind `lock`.
    private let lock = Lock()
    private var counts: [UInt32: Int] = [:]
    private let janitor: Janitor

    init(janitor: Janitor) { self.janitor = janitor }

    func hold(_ segment: UInt32) -> SegmentHold {
        lock.withLock { counts[segment, default: 0] += 1 }
        return SegmentHold(segment: segment) { [self] segment in release(segment) }
    }

    /// As `hold`, but only while something else still holds the segment.
    func holdIfHeld(_ segment: UInt32) -> SegmentHold? {
        let isHeld = lock.withLock { () -> Bool in
            guard let count = counts[segment] else { return false }
            counts[segment] = count + 1
            return true
        }
        return isHeld ? SegmentHold(segment: segment) { [self] segment in release(segment) } : nil
    }

    private func release(_ segment: UInt32) {
        let isLast = lock.withLock { () -> Bool in
            let left = (counts[segment] ?? 1) - 1
            counts[segment] = left == 0 ? nil : left
            return left == 0
        }
        if isLast { janitor.release(segment) }
    }

    func isHeld(_ segment: UInt32) -> Bool { lock.withLock { counts[segment] != nil } }
    var heldCount: Int { lock.withLock { counts.count } }
}
