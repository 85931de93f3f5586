// How many of the entries that are written hide an older one: asked of the filters, by sampling.
//
// A flush asks, for one key in some dozens, whether the runs that the key's run will lie over may hold it; so the
// answer is there before any merge has met the two, and costs no read. How often a filter answers yes for a key that
// it does not hold is found out with a second question beside each, for a hash that no key has. After a start, before
// the first flush, a few blocks of the younger runs are read for the same questions. An estimate: it decides when and
// where to merge, never what is dead. (SplinterDB's maplets count duplicates exactly; a sample of Bloom filters does
// for a decision.)

import ValkBase

/// Answers of filters.
struct OverlapSample: Sendable {
    private(set) var asked = 0
    private(set) var held = 0
    /// Of hashes that no key has.
    private(set) var falselyHeld = 0

    /// One key in so many is asked for.
    static let interval = 32

    /// Asks the runs on `path`, which are those below the key's own. Where a table is not loaded nothing was asked,
    /// unless `loads`, which waits for the device.
    mutating func ask(_ key: ByteView, _ path: RunPath, loads: Bool = false) {
        let hash = key.hash64
        let noHash = ~hash &* 0x9E37_79B9_7F4A_7C15
        var holds = false
        var holdsNone = false
        var path = path
        while let run = path.next(key) {
            let isKnown = run._withUnsafeGuaranteedRef { run in
                guard let held = run.mayHold(key, hash, loads: loads) else { return false }
                holds = holds || held
                holdsNone = holdsNone || run.mayHold(key, noHash, loads: false) == true
                return true
            }
            if !isKnown { return }
        }
        asked += 1
        if holds { held += 1 }
        if holdsNone { falselyHeld += 1 }
    }

    static func += (a: inout OverlapSample, b: OverlapSample) {
        a.asked += b.asked
        a.held += b.held
        a.falselyHeld += b.falselyHeld
    }

    /// The share that hides something, 0 to 1.
    var ratio: Double {
        let honest = asked - falselyHeld
        return honest <= 0 ? 0 : min(1, max(0, Double(held - falselyHeld) / Double(honest)))
    }
}

struct OverlapEstimate: Sendable {
    private(set) var ratio = 0.0
    /// Whether anything was sampled since the start.
    private(set) var isKnown = false

    /// What has been answered since.
    private var pending = OverlapSample()

    /// Fewer answers tell nothing.
    static let askedMin = 16

    /// What is young stays as it was written when writers begin to do otherwise, so the estimate rises at once and
    /// falls slowly.
    mutating func take(_ sample: OverlapSample) {
        pending += sample
        guard pending.asked >= OverlapEstimate.askedMin else { return }
        ratio = isKnown ? max(pending.ratio, 0.8 * ratio + 0.2 * pending.ratio) : pending.ratio
        isKnown = true
        pending = OverlapSample()
    }
}

extension BucketController {
    /// Samples runs that lie over others, where no flush has told yet. Reads a few blocks.
    func sampleTree() throws(StoreError) {
        guard structure.withLock({ !overlap.isKnown }) else { return }
        let root = logManager.root
        var sample = OverlapSample()
        var left = 16
        var fault: Interruption?
        root.forEach { bucket in
            for (i, run) in bucket.runs.enumerated().dropLast(bucket.isLeaf ? 1 : 0) where left > 0 && fault == nil {
                left -= 1
                do throws(Interruption) {
                    try sampleMiddle(of: run, RunPath(.passUnretained(bucket), from: i + 1), &sample)
                } catch {
                    fault = error
                }
            }
        }
        // A table that cannot be read is told of by those who need it.
        if fault != nil && sample.asked < OverlapEstimate.askedMin { return }
        structure.withLock { overlap.take(sample) }
    }

    private func sampleMiddle(of run: Run, _ path: RunPath, _ sample: inout OverlapSample) throws(Interruption) {
        let fragment = run.fragments[run.fragments.count / 2]
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        let cursor = RunCursor(Run(id: run.id, fragments: [fragment]), pins, access: .merge, mayBlock: true)
        let middle = fragment.file.table.cuts(2).first { KeyRange.isBefore(fragment.first, $0) }
        var fault: Interruption?
        (middle ?? fragment.first).withView { key in
            do throws(Interruption) { try cursor.seek(key) } catch { fault = error }
        }
        var seen = 0
        while fault == nil, seen < 32, let entry = cursor.position {
            if entry.pointee.kind == .put { sample.ask(entry.pointee.key, path, loads: true) }
            seen += 1
            do throws(Interruption) { try cursor.next() } catch { fault = error }
        }
        if let fault { throw fault }
    }
}
