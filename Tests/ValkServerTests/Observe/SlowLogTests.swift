// The slow log keeps the newest commands, shortened, without secrets; the server's log keeps an event on one line.

import Glibc
import Logging
import Testing
import ValkBase
import ValkRESP

@testable import ValkServer

@Suite struct SlowLogTests {
    /// Calls `body` with `words` as an argument list.
    private func with<R>(_ words: [[UInt8]], _ body: (ArgumentList) -> R) -> R {
        var views: [ByteView] = []
        let memory = ByteBuffer.joined(words + [[]], &views)
        defer { _ = memory.count }
        return views.withUnsafeBufferPointer { list in
            guard let base = list.baseAddress else { preconditionFailure("no words") }
            return body(ArgumentList(views: base, count: list.count))
        }
    }

    private func shortened(_ words: String...) -> [String] {
        with(words.map { Array($0.utf8) }) { SlowLog.shortened($0) }.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func keepsTheNewestFirst() {
        let log = SlowLog(lengthMax: 3)
        for index in 0..<5 {
            with([Array("set".utf8), Array("k\(index)".utf8)]) {
                log.record($0, microseconds: index, now: 1_700_000_000_000, address: "a:1", clientName: [])
            }
        }
        #expect(log.count == 3)
        #expect(log.newest(-1).map(\.id) == [4, 3, 2])
        #expect(log.newest(1).map(\.microseconds) == [4])
        #expect(log.newest(0).isEmpty)
        #expect(log.newest(1)[0].time == 1_700_000_000)
        log.lengthMax = 1
        #expect(log.newest(-1).map(\.id) == [4])
        log.reset()
        #expect(log.count == 0)
        log.lengthMax = 0
        with([Array("get".utf8)]) { log.record($0, microseconds: 1, now: 0, address: "", clientName: []) }
        #expect(log.count == 0)
    }

    @Test func cutsLongCommands() {
        let many = (0..<40).map { "\($0)" }
        let kept = with(many.map { Array($0.utf8) }) { SlowLog.shortened($0) }
        #expect(kept.count == 32)
        #expect(String(decoding: kept[31], as: UTF8.self) == "... (9 more arguments)")
        #expect(shortened("set", String(repeating: "x", count: 130))[1].hasSuffix("... (2 more bytes)"))
        #expect(shortened("set", String(repeating: "x", count: 128))[1] == String(repeating: "x", count: 128))
    }

    @Test func hidesSecrets() {
        #expect(shortened("AUTH", "user", "secret") == ["AUTH", "(redacted)", "(redacted)"])
        #expect(shortened("auth", "secret") == ["auth", "(redacted)"])
        #expect(
            shortened("hello", "3", "AUTH", "u", "p", "setname", "n")
                == ["hello", "3", "AUTH", "(redacted)", "(redacted)", "setname", "n"])
        #expect(
            shortened("CONFIG", "SET", "timeout", "1", "RequirePass", "x")
                == ["CONFIG", "SET", "timeout", "1", "RequirePass", "(redacted)"])
        #expect(shortened("config", "get", "requirepass") == ["config", "get", "requirepass"])
        #expect(shortened("hello", "3", "auth") == ["hello", "3", "auth"])
        #expect(
            shortened("MIGRATE", "h", "1", "", "0", "5", "auth", "p", "KEYS", "auth", "k")
                == ["MIGRATE", "h", "1", "", "0", "5", "auth", "(redacted)", "KEYS", "auth", "k"])
        #expect(
            shortened("migrate", "h", "1", "auth", "0", "5", "COPY", "AUTH2", "u", "p")
                == ["migrate", "h", "1", "auth", "0", "5", "COPY", "AUTH2", "(redacted)", "(redacted)"])
    }

    @Test func secretsOfTheSchemaAreHidden() {
        for directive in ConfigSchema.all() where directive.isSecret {
            #expect(shortened("config", "set", directive.name, "x")[3] == "(redacted)", "\(directive.name)")
        }
    }

    @Test func anEventIsALineWithTimeProcessAndLevel() {
        #expect(
            ServerLog.line(.notice, "two\nlines", pid: 42, microseconds: 1_795_371_002_998_576)
                == "2026-11-22T18:10:02.998Z 42 notice two\\nlines\n")
    }

    @Test func theLogFileIsAppendedAndMayMoveAway() throws {
        let path = "/tmp/valk-log-test-\(UInt64.random(in: 0...UInt64.max))"
        defer { unlink(path) }
        let log = ServerLog(path: path, level: .notice)
        #expect(log.problem() == nil)
        log.verbose("hidden")
        log.notice("one")
        log.logger("x").error("two", metadata: ["k": "v"])
        let text = String(decoding: try TextFile.read(path).get(), as: UTF8.self)
        #expect(text.split(separator: "\n").count == 2)
        #expect(text.contains(" notice one\n"))
        #expect(text.contains(" warning two k=v\n"))
        unlink(path)
        log.level = .debug
        log.debug("three")
        #expect(String(decoding: try TextFile.read(path).get(), as: UTF8.self).contains("debug three"))
        #expect(ServerLog(path: "/nonexistent/x", level: .notice).problem() == "No such file or directory")
    }

    @Test func factsOfTheProcessAreThere() {
        #expect(ProcessFacts.residentBytes() > 1 << 20)
        #expect(ProcessFacts.residentBytesPeak() >= ProcessFacts.residentBytes() / 2)
        #expect(ProcessFacts.heapBytes() > 0)
        #expect(ProcessFacts.totalMemoryBytes() > 1 << 28)
        #expect(ProcessFacts.systemName().hasPrefix("Linux "))
        #expect(ProcessFacts.humanBytes(100) == "100B")
        #expect(ProcessFacts.humanBytes(1536) == "1.50K")
        #expect(ProcessFacts.humanBytes(3 << 30) == "3.00G")
        #expect(ProcessFacts.twoDecimals(-0.126) == "-0.13")
    }

    @Test func descriptorsAreRaisedAsFarAsTheSystemAllows() {
        #expect(FileLimit.raise(forClients: 1) == 1)
        let possible = FileLimit.raise(forClients: Int(Int32.max))
        #expect(possible >= 1 && possible <= Int(Int32.max))
    }
}
