// Events of keys where it crosses threads: writers on several loops, expired keys that many meet at once, commands that
// run again on a worker. What each command publishes is in conformance/cases/keyspace-events.case.

import Synchronization
import Testing
import ValkBase
import ValkEngine

@testable import ValkData
@testable import ValkServer

@Suite struct KeyEventTests {
    /// Reads messages until one on the channel `end`.
    private static func messages(_ listener: TestClient, until end: String) throws -> [String] {
        var all: [String] = []
        while true {
            let message = try listener.reply()
            if message.hasPrefix("*[$pmessage,$*,$\(end),") { return all }
            all.append(String(message.dropFirst("*[$pmessage,$*,".count).dropLast()))
        }
    }

    /// Clients on three loops grow and delete one key. In the order of its changes a key that is not there is made
    /// before it grows, and grows before it is deleted.
    @Test func eventsOfAKeyComeInTheOrderOfItsChanges() throws {
        let server = try FullServer("io-threads 3", "notify-keyspace-events Eg$n")
        let listener = try server.connect()
        #expect(try listener.ask("PSUBSCRIBE", "*") == "*[$psubscribe,$*,:1]")
        let writers = try (0..<3).map { _ in try server.connect() }
        let rounds = 200
        for writer in writers {
            try writer.send(
                (0..<rounds).flatMap { _ in TestClient.encode("APPEND", "k", "x") + TestClient.encode("DEL", "k") })
        }
        var deleted = 0
        for writer in writers {
            for _ in 0..<rounds {
                #expect(try writer.reply().hasPrefix(":"))
                if try writer.reply() == ":1" { deleted += 1 }
            }
        }
        #expect(try writers[0].ask("PUBLISH", "done", "") == ":1")
        var isThere = false
        var counts = (new: 0, append: 0, del: 0)
        for message in try Self.messages(listener, until: "done") {
            switch message {
            case "$__keyevent@0__:new,$k":
                #expect(!isThere)
                isThere = true
                counts.new += 1
            case "$__keyevent@0__:append,$k":
                #expect(isThere)
                counts.append += 1
            case "$__keyevent@0__:del,$k":
                #expect(isThere)
                isThere = false
                counts.del += 1
            default: Issue.record("\(message)")
            }
        }
        #expect(!isThere)
        #expect(counts == (deleted, rounds * 3, deleted))
    }

    /// Keys end while clients on three loops look at all of them again and again and the walk comes by.
    @Test func aKeyExpiresOnceWhoeverFindsIt() throws {
        let server = try FullServer("io-threads 3", "notify-keyspace-events Ex")
        let listener = try server.connect()
        #expect(try listener.ask("PSUBSCRIBE", "*") == "*[$psubscribe,$*,:1]")
        let readers = try (0..<3).map { _ in try server.connect() }
        let count = 300
        for i in 0..<count {
            try readers[0].send(TestClient.encode("SET", "k\(i)", "v", "PX", "\(1 + i % 40)"))
        }
        for _ in 0..<count { #expect(try readers[0].reply() == "+OK") }
        var areLeft = true
        while areLeft {
            for reader in readers { for i in 0..<count { try reader.send(TestClient.encode("EXISTS", "k\(i)")) } }
            areLeft = false
            for reader in readers { for _ in 0..<count where try reader.reply() == ":1" { areLeft = true } }
        }
        while server.server.keyspace.counts(0).keys > 0 { _ = try readers[0].ask("DBSIZE") }
        // What is removed is published before its stripe is let go, and this takes all of them.
        #expect(try readers[0].ask("SWAPDB", "0", "0") == "+OK")
        #expect(try readers[0].ask("PUBLISH", "done", "") == ":1")
        let seen = try Self.messages(listener, until: "done")
        #expect(Set(seen).count == count)
        #expect(seen.count == count)
        #expect(seen.allSatisfy { $0.hasPrefix("$__keyevent@0__:expired,$k") })
    }

    /// As in PubSubTests: DBSIZE after a blind write makes EXEC run a second time, on a worker.
    @Test func aTransactionThatIsRunAgainHasItsEventsOnce() throws {
        let server = try FullServer("io-threads 2", "notify-keyspace-events E$g")
        let listener = try server.connect()
        #expect(try listener.ask("PSUBSCRIBE", "*") == "*[$psubscribe,$*,:1]")
        let client = try server.connect()
        for i in 0..<20 {
            #expect(try client.ask("SET", "k\(i)", "v") == "+OK")
            #expect(try client.ask("MULTI") == "+OK")
            #expect(try client.ask("SET", "m", "v") == "+QUEUED")
            #expect(try client.ask("DBSIZE") == "+QUEUED")
            #expect(try client.ask("DEL", "m") == "+QUEUED")
            #expect(try client.ask("EXEC") == "*[+OK,:\(i + 2),:1]")
            #expect(try listener.reply() == "*[$pmessage,$*,$__keyevent@0__:set,$k\(i)]")
            #expect(try listener.reply() == "*[$pmessage,$*,$__keyevent@0__:set,$m]")
            #expect(try listener.reply() == "*[$pmessage,$*,$__keyevent@0__:del,$m]")
        }
        #expect(server.server.totals()[.deferredCommands] > 0)
    }

    @Test func nothingIsAskedForWithoutAPlaceToPublish() {
        #expect(KeyEventKinds.asked(0) == [])
        #expect(KeyEventKinds.asked(0x3FF) == [])
        let kinds = KeyspaceEventClasses.parse("Kg$lshzxetdnm").map(KeyEventKinds.asked)
        #expect(
            kinds == [
                .toKeyspace, .generic, .string, .list, .set, .hash, .sortedSet, .expired, .evicted, .stream, .module,
                .new, .miss,
            ])
        #expect(KeyspaceEventClasses.parse("E").map(KeyEventKinds.asked) == .toKeyEvent)
    }
}
