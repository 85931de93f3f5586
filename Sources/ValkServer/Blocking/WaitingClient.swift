// A client that waits for data under some keys, with the command that it sent.
//
// Several threads may want to end the waiting at once: writers of its keys, its loop when its time is over, CLIENT
// UNBLOCK, its own close. `state` decides: a writer claims the client, tries, and either ends the waiting or lets it go
// on; the others end it only while nobody has claimed it.

import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkRESP

final class WaitingClient: @unchecked Sendable {  // Everything but `state` and `isGone` is fixed.
    let connection: Connection
    /// Of the command.
    let index: Int
    let request: WaitRequest
    let database: Int
    let version: UInt8
    /// Monotonic nanoseconds; 0: for ever.
    let deadline: UInt64
    /// Its place among all who wait, in the order in which they came.
    let sequence: UInt64
    private let bytes: UnsafeMutableRawPointer
    private let views: UnsafeMutablePointer<ByteView>
    private let count: Int

    private enum State {
        static let waiting: UInt8 = 0
        static let claimed: UInt8 = 1
        static let ended: UInt8 = 2
    }

    private let state = Atomic<UInt8>(State.waiting)
    /// The connection was closed while somebody had claimed it.
    let isGone = Atomic<Bool>(false)

    /// Copies the arguments, some of which are replaced.
    init(
        _ connection: Connection, index: Int, _ arguments: ArgumentList,
        replacing replacements: [(index: Int, bytes: [UInt8])], _ request: WaitRequest, deadline: UInt64,
        sequence: UInt64
    ) {
        self.connection = connection
        self.index = index
        self.request = request
        self.deadline = deadline
        self.sequence = sequence
        database = Int(connection.state.pointee.database)
        version = connection.state.pointee.version
        count = arguments.count
        var total = 0
        for i in 0..<count { total += arguments[i].count }
        for replacement in replacements { total += replacement.bytes.count }
        bytes = .allocate(byteCount: max(1, total), alignment: 1)
        views = .allocate(capacity: max(1, count))
        var at = bytes
        for i in 0..<count {
            at.copyMemory(from: arguments[i].base, byteCount: arguments[i].count)
            (views + i).initialize(to: ByteView(base: at, count: arguments[i].count))
            at += arguments[i].count
        }
        for replacement in replacements {
            replacement.bytes.withView { at.copyMemory(from: $0.base, byteCount: $0.count) }
            views[replacement.index] = ByteView(base: at, count: replacement.bytes.count)
            at += replacement.bytes.count
        }
    }

    deinit {
        bytes.deallocate()
        views.deallocate()
    }

    var arguments: ArgumentList { ArgumentList(views: views, count: count) }

    /// Nobody else ends the waiting until `letGo` or `end`.
    func claim() -> Bool {
        state.compareExchange(expected: State.waiting, desired: State.claimed, ordering: .acquiringAndReleasing)
            .exchanged
    }

    /// After `claim`: it goes on waiting. False: it has closed meanwhile, and the caller must forget it.
    func letGo() -> Bool {
        state.store(State.waiting, ordering: .sequentiallyConsistent)
        return !(isGone.load(ordering: .sequentiallyConsistent) && endIfWaiting())
    }

    /// After `claim`: the waiting is over.
    func end() { state.store(State.ended, ordering: .releasing) }

    /// Ends the waiting, unless somebody has claimed the client or it is over already.
    func endIfWaiting() -> Bool {
        state.compareExchange(
            expected: State.waiting, desired: State.ended, ordering: .sequentiallyConsistent
        ).exchanged
    }

    var hasEnded: Bool { state.load(ordering: .acquiring) == State.ended }
}
