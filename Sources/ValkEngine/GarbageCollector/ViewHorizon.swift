// Which views are still looked at: what became garbage with the edit that view `n` was the first to show is garbage for
// everybody when no view before `n` is left. Snapshots, cursors and backups hold views, so they count.
//
// Any thread. Views come and go some times a second.

import ValkBase

final class ViewHorizon: @unchecked Sendable {  // State behind `lock`.
    private let lock = Lock()
    /// Numbers of the views that live, ascending.
    private var living: [UInt64] = []

    /// A view that is about to be shown. It counts as long as somebody holds the ticket.
    func enter(_ number: UInt64) -> ViewTicket {
        lock.withLock {
            let at = living.lastIndex { $0 <= number }.map { $0 + 1 } ?? 0
            living.insert(number, at: at)
        }
        return ViewTicket(number, self)
    }

    fileprivate func leave(_ number: UInt64) {
        lock.withLock { if let at = living.firstIndex(of: number) { living.remove(at: at) } }
    }

    /// Everything that was garbage for view number `horizon` is garbage for all who read now or later.
    var horizon: UInt64 { lock.withLock { living.first ?? .max } }
}

/// Held by a view for as long as it lives.
final class ViewTicket: Sendable {
    private let number: UInt64
    private let horizon: ViewHorizon

    fileprivate init(_ number: UInt64, _ horizon: ViewHorizon) {
        self.number = number
        self.horizon = horizon
    }

    deinit { horizon.leave(number) }
}
