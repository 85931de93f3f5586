// Jobs that failed: where, why, and when the place is tried again. A failure is told once and not at each try, and
// nobody waits for it but its own range of its own level: the levels above and below and all other ranges go on.
//
// Plain data, behind the controller's `structure`. Times are monotonic nanoseconds.

import ValkBase

struct JobFailures {
    struct Item {
        var kind: JobKind
        var height: Int
        var range: KeyRange
        var error: StoreError
        /// In a row.
        var tries: Int
        var retryAt: UInt64
    }
    private(set) var items: [Item] = []

    /// More are not kept: they are tried at once.
    private static let itemsMax = 64
    private static let firstDelay: UInt64 = 1_000_000_000
    private static let delayMax: UInt64 = 60_000_000_000

    /// How long a place is left alone after so many failures in a row: 1 s, 2 s, 4 s, … 60 s.
    static func delay(tries: Int) -> UInt64 { min(delayMax, firstDelay << UInt64(min(tries - 1, 6))) }

    /// Returns whether this is news: another fault, or another place.
    mutating func note(_ plan: JobPlan, _ error: StoreError, now: UInt64) -> Bool {
        var tries = 0
        var isNews = true
        for item in items where item.concerns(plan.height, plan.range) {
            tries = max(tries, item.tries)
            if item.error.isSame(as: error) { isNews = false }
        }
        tries += 1
        succeeded(plan)
        if items.count == JobFailures.itemsMax { items.removeFirst() }
        items.append(
            Item(
                kind: plan.kind, height: plan.height, range: plan.range, error: error, tries: tries,
                retryAt: now + JobFailures.delay(tries: tries)))
        return isNews
    }

    mutating func succeeded(_ plan: JobPlan) {
        if !items.isEmpty { items.removeAll { $0.concerns(plan.height, plan.range) } }
    }

    /// Whether the place is left alone for now.
    func refuses(_ plan: JobPlan, now: UInt64) -> Bool {
        items.contains { $0.retryAt > now && $0.concerns(plan.height, plan.range) }
    }

    /// When the next place is tried again; nil when none waits.
    var nextRetry: UInt64? { items.map(\.retryAt).min() }
}

extension JobFailures.Item {
    fileprivate func concerns(_ height: Int, _ range: KeyRange) -> Bool {
        self.height == height && self.range.overlaps(range)
    }
}

extension StoreError {
    fileprivate func isSame(as other: StoreError) -> Bool {
        kind == other.kind && path == other.path && offset == other.offset
            && (!path.isEmpty || message == other.message)
    }
}
