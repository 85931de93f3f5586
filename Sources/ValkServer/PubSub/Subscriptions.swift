// What one client listens to. Belongs to its session: the loop's, and a worker's while that runs a command of it.
//
// The lists of the loop (LoopSubscriptions) are changed on the loop only; from a worker the change goes through the
// mailbox, ahead of the word that the command has ended.

import ValkBase

final class Subscriptions {
    /// Of a name besides its bytes: its places in the sets here and of the loop, and the head of its array.
    private static let bytesPerName = 64

    private(set) var names = [Set<[UInt8]>](repeating: [], count: SubscriptionKind.allCases.count)

    /// Bytes held.
    private(set) var memoryBytes = 0

    fileprivate func insert(_ kind: SubscriptionKind, _ name: [UInt8]) -> Bool {
        guard names[kind.rawValue].insert(name).inserted else { return false }
        memoryBytes += name.count + Self.bytesPerName
        return true
    }

    fileprivate func remove(_ kind: SubscriptionKind, _ name: [UInt8]) -> Bool {
        guard names[kind.rawValue].remove(name) != nil else { return false }
        memoryBytes -= name.count + Self.bytesPerName
        return true
    }

    func count(_ kind: SubscriptionKind) -> Int { names[kind.rawValue].count }
    var isEmpty: Bool { names.allSatisfy(\.isEmpty) }
}

extension Connection {
    /// What a reply to a change of `kind` counts: channels and patterns together, or shard channels.
    func subscriptionCount(_ kind: SubscriptionKind) -> Int {
        guard let subscriptions else { return 0 }
        if kind == .shard { return subscriptions.count(.shard) }
        return subscriptions.count(.channel) + subscriptions.count(.pattern)
    }

    func subscribe(_ kind: SubscriptionKind, _ name: [UInt8]) {
        let own = subscriptions ?? Subscriptions()
        subscriptions = own
        set(.subscribed, true)
        guard own.insert(kind, name) else { return }
        server.pubSub.add(kind, name, loop: loop.index)
        changeLoop { loop, connection in
            if connection.state.pointee.phase != .closed { loop.subscriptions.add(kind, name, connection) }
        }
    }

    func unsubscribe(_ kind: SubscriptionKind, _ name: [UInt8]) {
        guard let subscriptions, subscriptions.remove(kind, name) else { return }
        server.pubSub.remove(kind, name, loop: loop.index)
        changeLoop { loop, connection in loop.subscriptions.remove(kind, name, connection) }
        refreshSubscribed()
    }

    /// All that the client listens to of `kind`, in no order.
    func subscribed(_ kind: SubscriptionKind) -> [[UInt8]] {
        subscriptions.map { Array($0.names[kind.rawValue]) } ?? []
    }

    /// Sets the flags that follow from what the client listens to and tracks.
    func refreshSubscribed() {
        set(.subscribed, subscriptions?.isEmpty == false)
        set(.tracking, tracking.map { !$0.mode.contains(.broadcast) } ?? false)
    }

    /// Ends all of it, without a word to the client.
    func unsubscribeAll() {
        for kind in SubscriptionKind.allCases { for name in subscribed(kind) { unsubscribe(kind, name) } }
    }

    private func changeLoop(_ body: @escaping @Sendable (EventLoop, Connection) -> Void) {
        if loop.isCurrent { return body(loop, self) }
        loop.mailbox.post(.run { [self] loop in body(loop, self) })
    }
}
