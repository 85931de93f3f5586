// What readers met in table files that they could not read. A table keeps the newest fault until somebody asks for it,
// because a reader has no place to put it; whoever answers the reader's client asks here.

import ValkBase

extension Store {
    /// The faults that readers met in tables since they were last asked for. Goes over all tables: for after a
    /// `.damaged` or `.readFailed`, which values in the log may have caused just as well. Any thread.
    func takeTableFaults() -> [StoreError] {
        var faults: [StoreError] = []
        root.forEach { bucket in
            bucket.forEachFragment { _, file in
                if let fault = file.table.takeFault() { faults.append(fault) }
            }
        }
        return faults
    }

    /// Tells of those faults as events, as the log does of its own; each place once.
    package func reportTableFaults() {
        for fault in takeTableFaults() where knownFaults.isNew(fault) {
            logManager.report(.log(fault.kind == .disk ? .readFailed(fault) : .damaged(fault)))
        }
    }
}

/// Places that have been told of.
final class KnownFaults: Sendable {
    private struct Place: Hashable, Sendable {
        var path: String
        var offset: Int
    }

    private let places = Guarded<Set<Place>>([])
    /// More of them are told of again and again; nobody reads on anyway.
    private static let countMax = 1000

    func isNew(_ fault: StoreError) -> Bool {
        places.withLock {
            let isNew = !$0.contains(Place(path: fault.path, offset: fault.offset))
            if $0.count < KnownFaults.countMax { $0.insert(Place(path: fault.path, offset: fault.offset)) }
            return isNew
        }
    }
}
