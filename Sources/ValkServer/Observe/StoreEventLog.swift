// The store's events as lines of the server's log. Events come on the threads where they happened; a line is quick.

import ValkEngine

enum StoreEventLog {
    /// A receiver of events for `Store.open`.
    static func receiver(_ log: ServerLog) -> @Sendable (StoreEvent) -> Void {
        { event in
            switch event {
            case .log(.stopped(let error)), .writesStopped(let error):
                log.warning("writes are refused from now on, until a restart: \(error)")
            case .log(.damaged(let error)): log.warning("stored data is damaged: \(error)")
            case .log(.readFailed(let error)): log.warning("reading from the disk failed: \(error)")
            case .log(.spaceRunsOut(let error)): log.warning("no room for the log: \(error)")
            case .spaceRunsOut: log.warning("the device is full: writes are refused, reads and deletes are served")
            case .log(.spaceIsBack), .spaceIsBack: log.notice("there is room on the device again")
            case .log(.note(let error)): log.notice("\(error)")
            case .mergeFailed(let error): log.warning("a merge failed and will be tried again: \(error)")
            case .flushFailed(let error): log.warning("a flush failed and will be tried again: \(error)")
            }
        }
    }
}
