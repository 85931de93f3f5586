// Count changes per namespace. A handful of namespaces: linear search beats hashing.

import ValkBase

struct CountDeltas {
    private(set) var items: [(namespace: UInt32, counts: NamespaceCounts)] = []
    private var last = 0

    mutating func withCounts(_ namespace: UInt32, _ body: (inout NamespaceCounts) -> Void) {
        if last < items.count && items[last].namespace == namespace {
            body(&items[last].counts)
            return
        }
        if let i = items.firstIndex(where: { $0.namespace == namespace }) {
            last = i
        } else {
            items.append((namespace, NamespaceCounts()))
            last = items.count - 1
        }
        body(&items[last].counts)
    }

    func counts(_ namespace: UInt32) -> NamespaceCounts {
        items.first { $0.namespace == namespace }?.counts ?? NamespaceCounts()
    }

    mutating func forget(_ namespace: UInt32) {
        items.removeAll { $0.namespace == namespace }
        last = 0
    }

    mutating func add(_ other: CountDeltas) {
        for item in other.items { withCounts(item.namespace) { $0 += item.counts } }
    }
}
