// When keys were last used, or how often: for eviction, OBJECT IDLETIME and OBJECT FREQ.
//
// The store may hold many more keys than memory has room for, so this is no map of keys but a table of a bounded size
// that remembers those used most recently (or most often): lines of sixteen slots, a key's line chosen by its hash,
// in each slot ten more bits of the hash and 22 bits of what is remembered. In a full line the key that would be
// evicted first gives way. A key that is not found has not been used for longer than any other of its line, and is
// evicted before them. Two keys of one line may share a slot (about one in seventy does); they then count as one.
//
// What is remembered. By time: quarters of a second since the table was made. By frequency, with Redis's arithmetic: a
// counter of eight bits that grows the more seldom the larger it is, and the minute of its last change, by which it
// decays when it is looked at. The time would wrap after twelve days; `tend` turns it back before that.
//
// Any thread may call anything. A use costs a hash and one cache line, written only where its time has changed since
// the key's last use; nothing is locked, and of two uses at once one may be lost. The table grows with the keys
// (`makeRoom`): twice the lines, each copied to both of its places, where what does not belong is given up for what
// comes.
//
// Nothing of it is stored: after a start all keys count as unused until they are used.

import CValk
import Glibc
import Synchronization
import ValkBase

/// How `AccessTable` counts frequency: `lfu-log-factor`, and `lfu-decay-time` in minutes (0: never).
package struct FrequencyRule: Sendable, Equatable {
    package var logFactor = 10
    package var decayMinutes = 1
    package init(logFactor: Int = 10, decayMinutes: Int = 1) {
        self.logFactor = logFactor
        self.decayMinutes = decayMinutes
    }
}

package final class AccessTable: @unchecked Sendable {  // Atomic words and slots; changes of size under `lock`.
    private static let lineBytes = 64
    private static let linesMin = 4096
    /// Keys for each line from which on the table grows: with more of them many lines would be full.
    private static let keysPerLine = 8
    private static let valueBits: UInt32 = 22
    private static let valueMask: UInt32 = 1 << 22 - 1
    private static let minuteMask: UInt32 = 1 << 14 - 1
    /// A new key's counter, so that it is not evicted at once.
    private static let counterInitial: UInt32 = 5
    private static let millisecondsPerTick: UInt64 = 250
    /// The time is turned back by so much when it has come to `ticksMax`; what is older than three days is one then.
    private static let ticksBack: UInt64 = 1 << 21
    private static let ticksMax: UInt64 = 3 << 20
    /// The tick of the start, so that there are some before it (RESTORE may say that a key is older than the server).
    private static let tickOfStart: UInt64 = 1 << 20
    private static let minutesKept: UInt64 = 1 << 12
    /// The score of keys that are not in the table: higher than that of all others.
    package static let scoreOfUnused: UInt32 = 1 << 22

    /// Every use looks at these; each word is atomic.
    private struct Words {
        /// Lines less one.
        var mask = UInt64(AccessTable.linesMin - 1)
        /// By time: ticks. By frequency: minutes.
        var now = AccessTable.tickOfStart
        /// `now` as it was at the start: no key is known to have been used before.
        var began = AccessTable.tickOfStart
        var countsFrequency: UInt64 = 0
        var logFactor: UInt64 = 10
        var decayMinutes: UInt64 = 1
        /// State of the generator by which counters grow.
        var random: UInt64 = 1
    }

    private let words: UnsafeMutablePointer<Words>
    private let lines: UnsafeMutableRawPointer
    private let linesMax: Int
    private let lock = Lock()
    /// Milliseconds of the caller's clock at which the time began.
    private var origin: UInt64?
    private var minuteTended = AccessTable.tickOfStart

    /// Takes at most `bytesMax` of memory (at least 256 KiB), and of that what the keys in use need.
    package init(bytesMax: Int) {
        var count = AccessTable.linesMin
        while count * 2 * AccessTable.lineBytes <= bytesMax { count *= 2 }
        linesMax = count
        let memory = mmap(
            nil, count * AccessTable.lineBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
            -1, 0)
        guard let memory, memory != MAP_FAILED else { fatalError("no address space for \(bytesMax) bytes") }
        lines = memory
        // Without effect where it is not offered.
        madvise(memory, count * AccessTable.lineBytes, Int32(MADV_HUGEPAGE))
        words = .allocate(capacity: 1)
        words.initialize(to: Words())
    }

    deinit {
        munmap(lines, linesMax * AccessTable.lineBytes)
        words.deallocate()
    }

    // MARK: Words and slots

    @inline(__always) private var mask: UInt64 { valk_load_relaxed_u64(&words.pointee.mask) }
    @inline(__always) private var now: UInt64 { valk_load_relaxed_u64(&words.pointee.now) }

    /// The table counts how often keys are used, not when.
    @inline(__always)
    package var countsFrequency: Bool { valk_load_relaxed_u64(&words.pointee.countsFrequency) != 0 }

    @inline(__always)
    private func line(_ hash: UInt64) -> UnsafeMutableRawPointer {
        lines + Int(truncatingIfNeeded: hash & mask) &* AccessTable.lineBytes
    }

    @inline(__always)
    private func tag(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 54) }

    private func value(of hash: UInt64) -> UInt32? {
        let line = line(hash)
        let at = valk_line_find(line, tag(hash))
        return at < 0 ? nil : valk_load_relaxed_u32(line + Int(at) &* 4) & AccessTable.valueMask
    }

    private func set(_ hash: UInt64, _ value: UInt32) {
        let line = line(hash)
        var at = valk_line_find(line, tag(hash))
        if at < 0 { at = valk_line_least(line) }
        valk_store_relaxed_u32(line + Int(at) &* 4, tag(hash) << AccessTable.valueBits | value)
    }

    // MARK: Uses

    /// A key will be used soon: asks the processor for its line.
    @inline(__always)
    package func prefetch(_ hash: UInt64) { valk_prefetch(line(hash)) }

    /// A key is used or made. `hash`: of its encoded form.
    @inline(__always)
    package func touch(_ hash: UInt64) {
        let line = line(hash)
        let tag = tag(hash)
        let at = valk_line_find(line, tag)
        if at < 0 || countsFrequency { return touchOtherwise(hash) }
        let slot = tag << AccessTable.valueBits | UInt32(truncatingIfNeeded: now)
        if valk_load_relaxed_u32(line + Int(at) &* 4) != slot { valk_store_relaxed_u32(line + Int(at) &* 4, slot) }
    }

    @inline(never)
    private func touchOtherwise(_ hash: UInt64) {
        guard countsFrequency else { return set(hash, UInt32(truncatingIfNeeded: now)) }
        var counter = AccessTable.counterInitial
        if let value = value(of: hash) { counter = grown(decayed(value)) }
        set(hash, frequencyValue(counter))
    }

    /// A key is gone.
    package func forget(_ hash: UInt64) {
        let line = line(hash)
        let at = valk_line_find(line, tag(hash))
        if at >= 0 { valk_store_relaxed_u32(line + Int(at) &* 4, 0) }
    }

    // MARK: Frequency

    private func frequencyValue(_ counter: UInt32) -> UInt32 {
        counter << 14 | UInt32(truncatingIfNeeded: now) & AccessTable.minuteMask
    }

    /// Minutes since the counter's last change.
    private func minutes(_ value: UInt32) -> UInt32 {
        (UInt32(truncatingIfNeeded: now) &- value) & AccessTable.minuteMask
    }

    private func decayed(_ value: UInt32) -> UInt32 {
        let decay = UInt32(truncatingIfNeeded: valk_load_relaxed_u64(&words.pointee.decayMinutes))
        let counter = value >> 14
        return decay == 0 ? counter : counter - min(counter, minutes(value) / decay)
    }

    private func grown(_ counter: UInt32) -> UInt32 {
        if counter == 255 { return 255 }
        let over = counter > AccessTable.counterInitial ? counter - AccessTable.counterInitial : 0
        let factor = valk_load_relaxed_u64(&words.pointee.logFactor)
        var random = SeededRandom(seed: valk_fetch_add_u64(&words.pointee.random, 0x9E37_79B9_7F4A_7C15))
        let (steps, isHuge) = UInt64(over).multipliedReportingOverflow(by: factor)
        return !isHuge && random.next() % (steps &+ 1) == 0 ? counter + 1 : counter
    }

    // MARK: Asking

    /// Seconds since the key was last used, as far back as is known. Only where time is counted.
    package func idleSeconds(_ hash: UInt64) -> Int {
        let now = self.now
        let last = value(of: hash).map(UInt64.init) ?? began
        return Int((now - min(now, last)) * AccessTable.millisecondsPerTick / 1000)
    }

    /// 0 to 255. Only where frequency is counted.
    package func frequency(_ hash: UInt64) -> Int { value(of: hash).map { Int(decayed($0)) } ?? 0 }

    /// Of two keys the one with the higher score is evicted first. At most `scoreOfUnused`.
    package func score(_ hash: UInt64) -> UInt32 {
        guard let value = value(of: hash) else { return AccessTable.scoreOfUnused }
        if countsFrequency { return (255 - decayed(value)) << 14 | minutes(value) }
        let now = UInt32(truncatingIfNeeded: self.now)
        return now - min(now, value)
    }

    /// RESTORE says so.
    package func setIdle(_ hash: UInt64, seconds: Int) {
        let now = self.now
        let ticks = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1000 / AccessTable.millisecondsPerTick)
        set(
            hash, UInt32(truncatingIfNeeded: ticks.overflow || ticks.partialValue >= now ? 1 : now - ticks.partialValue)
        )
    }

    /// `frequency`: 0 to 255.
    package func setFrequency(_ hash: UInt64, _ frequency: Int) { set(hash, frequencyValue(UInt32(frequency))) }

    // MARK: Upkeep

    private var began: UInt64 { valk_load_relaxed_u64(&words.pointee.began) }

    /// What is counted from now on; a change forgets what was known.
    package func count(frequency: Bool, _ rule: FrequencyRule) {
        lock.withLock {
            valk_store_relaxed_u64(&words.pointee.logFactor, UInt64(rule.logFactor))
            valk_store_relaxed_u64(&words.pointee.decayMinutes, UInt64(rule.decayMinutes))
            if frequency == countsFrequency { return }
            valk_store_relaxed_u64(&words.pointee.countsFrequency, frequency ? 1 : 0)
            memset(lines, 0, Int(mask + 1) * AccessTable.lineBytes)
            origin = nil
            minuteTended = AccessTable.tickOfStart
            valk_store_relaxed_u64(&words.pointee.now, AccessTable.tickOfStart)
            valk_store_relaxed_u64(&words.pointee.began, AccessTable.tickOfStart)
        }
    }

    /// The caller's clock, some times a second. It must not go back.
    package func setTime(milliseconds: UInt64) {
        lock.withLock {
            let unit = countsFrequency ? 60_000 : AccessTable.millisecondsPerTick
            let origin = self.origin ?? milliseconds
            self.origin = origin
            let passed = milliseconds - min(milliseconds, origin)
            valk_store_relaxed_u64(&words.pointee.now, passed / unit + began)
        }
    }

    /// The memory that is used, bytes.
    package var bytes: Int { Int(mask + 1) * AccessTable.lineBytes }

    /// Whether `makeRoom` or `tend` have something to do.
    package func needsCare(keys: Int) -> Bool { isSmall(for: keys) || isOld }

    private func isSmall(for keys: Int) -> Bool {
        Int(mask) + 1 < linesMax && keys > (Int(mask) + 1) * AccessTable.keysPerLine
    }

    private var isOld: Bool {
        countsFrequency ? now - minuteTended > AccessTable.minutesKept : now > AccessTable.ticksMax
    }

    /// Grows for so many keys, and keeps the time from wrapping. Milliseconds; not on a loop.
    package func tend(keys: Int) {
        lock.withLock {
            while isSmall(for: keys) {
                let bytes = self.bytes
                memcpy(lines + bytes, lines, bytes)
                valk_store_relaxed_u64(&words.pointee.mask, mask << 1 | 1)
            }
            if isOld { if countsFrequency { decayAll() } else { turnBack() } }
        }
    }

    private func forEachSlot(_ body: (UInt32) -> UInt32) {
        for at in stride(from: lines, to: lines + bytes, by: 4) {
            let slot = valk_load_relaxed_u32(at)
            if slot == 0 { continue }
            valk_store_relaxed_u32(at, slot & ~AccessTable.valueMask | body(slot & AccessTable.valueMask))
        }
    }

    private func decayAll() {
        forEachSlot { frequencyValue(decayed($0)) }
        minuteTended = now
    }

    private func turnBack() {
        let back = AccessTable.ticksBack
        forEachSlot { $0 > UInt32(back) ? $0 - UInt32(back) : 1 }
        // The start is further back than the time reaches; from then on it is counted from its beginning.
        origin = origin.map { $0 + (back - min(back, began - 1)) * AccessTable.millisecondsPerTick }
        valk_store_relaxed_u64(&words.pointee.began, began - min(back, began - 1))
        valk_store_relaxed_u64(&words.pointee.now, now - back)
    }
}
