// Publish and subscribe where it crosses threads: several loops, commands on workers, clients that go away.

import Testing
import ValkBase

@testable import ValkServer

@Suite struct PubSubTests {
    private static func publish(_ channel: String, _ numbers: Range<Int>) -> [UInt8] {
        numbers.flatMap { TestClient.encode("PUBLISH", channel, "\($0)") }
    }

    @Test func everyListenerOnEveryLoopGetsAllInOrder() throws {
        let server = try FullServer("io-threads 3")
        let listeners = try (0..<6).map { _ in try server.connect() }
        for (i, listener) in listeners.enumerated() {
            if i % 2 == 0 {
                #expect(try listener.ask("SUBSCRIBE", "a") == "*[$subscribe,$a,:1]")
            } else {
                #expect(try listener.ask("PSUBSCRIBE", "[ab]") == "*[$psubscribe,$[ab],:1]")
            }
        }
        let publishers = try (0..<3).map { _ in try server.connect() }
        for (i, publisher) in publishers.enumerated() {
            try publisher.send(Self.publish("a", i * 1000..<i * 1000 + 300))
        }
        for publisher in publishers { for _ in 0..<300 { #expect(try publisher.reply() == ":6") } }
        for (i, listener) in listeners.enumerated() {
            var last = [-1, -1, -1]
            for _ in 0..<900 {
                let message = try listener.reply()
                let begin = i % 2 == 0 ? "*[$message,$a,$" : "*[$pmessage,$[ab],$a,$"
                guard message.hasPrefix(begin), let number = Int(message.dropFirst(begin.count).dropLast()) else {
                    Issue.record("\(message)")
                    return
                }
                #expect(number % 1000 == (last[number / 1000] + 1) % 1000, "listener \(i): \(last), then \(number)")
                last[number / 1000] = number % 1000
            }
            #expect(last == [299, 299, 299])
        }
    }

    @Test func whoGoesAwayIsCountedNoMore() throws {
        let server = try FullServer("io-threads 2")
        let publisher = try server.connect()
        do {
            let listeners = try (0..<8).map { _ in try server.connect() }
            for listener in listeners {
                #expect(try listener.ask("SUBSCRIBE", "a") == "*[$subscribe,$a,:1]")
                #expect(try listener.ask("SSUBSCRIBE", "a") == "*[$ssubscribe,$a,:1]")
            }
            #expect(try publisher.ask("PUBLISH", "a", "x") == ":8")
            #expect(try publisher.ask("SPUBLISH", "a", "x") == ":8")
            for listener in listeners { listener.shutdownWriting() }
            // The server closes when it has read the end: then nothing more comes.
            for listener in listeners { while (try? listener.reply()) != nil {} }
        }
        #expect(server.server.pubSub.subscribers(.channel, Array("a".utf8)) == 0)
        #expect(server.server.pubSub.count(.shard) == 0)
        #expect(try publisher.ask("PUBLISH", "a", "x") == ":0")
    }

    /// DBSIZE after a blind write runs on a worker, and with it the whole transaction, for which the loop has given up
    /// after it had published once.
    @Test func aTransactionThatIsRunAgainPublishesOnce() throws {
        let server = try FullServer("io-threads 2")
        let listener = try server.connect()
        #expect(try listener.ask("SUBSCRIBE", "a") == "*[$subscribe,$a,:1]")
        let client = try server.connect()
        for i in 0..<20 {
            #expect(try client.ask("SET", "k\(i)", "v") == "+OK")
            #expect(try client.ask("MULTI") == "+OK")
            #expect(try client.ask("PUBLISH", "a", "first \(i)") == "+QUEUED")
            #expect(try client.ask("SUBSCRIBE", "own \(i)") == "+QUEUED")
            #expect(try client.ask("DBSIZE") == "+QUEUED")
            #expect(try client.ask("UNSUBSCRIBE", "own \(i)") == "+QUEUED")
            #expect(try client.ask("PUBLISH", "a", "last \(i)") == "+QUEUED")
            let replies = try client.ask("EXEC")
            #expect(replies == "*[:1,*[$subscribe,$own \(i),:1],:\(i + 1),*[$unsubscribe,$own \(i),:0],:1]")
            #expect(try listener.reply() == "*[$message,$a,$first \(i)]")
            #expect(try listener.reply() == "*[$message,$a,$last \(i)]")
        }
        #expect(server.server.totals()[.deferredCommands] > 0)
        #expect(try client.ask("PUBSUB", "CHANNELS") == "*[$a]")
        #expect(try client.ask("PING") == "+PONG")
    }
}
