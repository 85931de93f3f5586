// Reading settings: words, files, the command line, errors that help.

import Glibc
import Testing
import ValkBase

@testable import ValkServer

@Suite struct ConfigFileTests {
    private func loaded(_ text: String, _ arguments: [String] = []) throws(ConfigFileError) -> ConfigStore {
        let store = ConfigStore()
        try store.load(lines: splitLines(Array(text.utf8)), origin: "a test")
        try store.load(ServerArguments(arguments))
        return store
    }

    private func fault(_ text: String, _ arguments: [String] = []) -> String {
        do throws(ConfigFileError) {
            _ = try loaded(text, arguments)
            return "none"
        } catch {
            return error.message
        }
    }

    @Test(arguments: [
        ("a b  c", ["a", "b", "c"]),
        ("  port 6379\t", ["port", "6379"]),
        (#"a "b c" 'd e'"#, ["a", "b c", "d e"]),
        (#"a "\x41\n\t\"\\" "#, ["a", "A\n\t\"\\"]),
        (#"'it\'s' 'a\n'"#, ["it's", "a\\n"]),
        (#"a """#, ["a", ""]),
        (#"pre"fix""#, ["prefix"]),
        ("", []),
    ])
    func splitsWordsAsRedisDoes(_ line: String, _ words: [String]) {
        let split = ConfigWords.split(Array(line.utf8))
        #expect(split?.map { String(decoding: $0, as: UTF8.self) } == words)
    }

    @Test(arguments: [#""abc"#, #"'abc"#, #""abc"def"#, #"'abc'd"#])
    func refusesUnbalancedQuotes(_ line: String) {
        #expect(ConfigWords.split(Array(line.utf8)) == nil)
    }

    @Test func quotedBytesSplitBackToThemselves() {
        var random = SeededRandom(seed: 7)
        for _ in 0..<200 {
            let bytes = (0..<random.below(40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            #expect(ConfigWords.split(ConfigWords.quote(bytes)) == [bytes])
            #expect(ConfigWords.split(ConfigWords.quoteIfNeeded(bytes)) == [bytes])
        }
    }

    @Test func readsAFile() throws {
        let store = try loaded(
            """
            # a comment
            PORT 7000

            bind 127.0.0.1 -::1
            requirepass "a b\\x01"
            maxmemory 1gb
            list-compress-depth 7
            client-output-buffer-limit replica 256mb 64mb 60
            save 900 1
            save 300 10
            lua-time-limit 77
            unixsocketperm 700
            space-target 1.5
            """)
        #expect(store.integer("port") == 7000)
        #expect(store.words("bind") == ["127.0.0.1", "-::1"])
        #expect(store.bytes("requirepass") == Array("a b\u{1}".utf8))
        #expect(store.integer("maxmemory") == 1 << 30)
        #expect(
            store.text("client-output-buffer-limit")
                == "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60")
        #expect(store.text("save") == "900 1 300 10")
        #expect(store.integer("busy-reply-threshold") == 77)
        #expect(store.integer("unixsocketperm") == 0o700)
        #expect(store.real("space-target") == 1.5)
        #expect(
            store.ignoredWarning
                == "1 of the settings given have no effect in Valk and are only remembered: list-compress-depth")
        #expect(try loaded("port 7000\nappendfsync no").ignoredWarning == nil)
        // Remembered all the same.
        let pattern = Array("*m*y*".utf8)
        let found = pattern.withView { store.matching([$0]) }.first { $0.name == "maxmemory" }
        #expect(found.map { String(decoding: $0.value, as: UTF8.self) } == "1073741824")
    }

    @Test func filesStayOutOfTheStoresPlaces() throws {
        let here = TextFile.currentDirectory()
        for place in ["log", "./log", "tables/x.log", "CURRENT", "MANIFEST-12", "\(here)/LOCK", "\(here)/log/a/b"] {
            for name in ["logfile", "pidfile", "unixsocket"] {
                let problem = try loaded("\(name) \(place)").misplacedFile
                #expect(problem?.hasPrefix("\(name) '\(place)' cannot be used") == true, "\(place)")
            }
        }
        for place in ["valk.log", "logs/a", "log.txt", "MANIFEST-x", "/tmp/log", "\"\"", "\(here)/sub/log"] {
            #expect(try loaded("logfile \(place)").misplacedFile == nil, "\(place)")
        }
    }

    @Test func commandLineWinsOverTheFile() throws {
        let store = try loaded(
            "port 1\ntimeout 5", ["--port", "2", "--timeout 9", "--save", "--bind", "127.0.0.1", "::1"])
        #expect(store.integer("port") == 2)
        #expect(store.integer("timeout") == 9)
        #expect(store.text("save") == "")
        #expect(store.words("bind") == ["127.0.0.1", "::1"])
    }

    @Test func commandLineNamesTheFileFirstAndStandardInputAnywhereAtTheEnds() {
        let arguments = ServerArguments(["my.conf", "--port", "1", "-"])
        #expect(arguments.file == "my.conf")
        #expect(arguments.readsStandardInput)
        #expect(ServerArguments(["-"]).readsStandardInput)
        #expect(ServerArguments(["--version"]).request == .version)
        #expect(ServerArguments(["-h"]).request == .help)
        // A value that looks like a name belongs to the name before it.
        #expect(ServerArguments(["--requirepass", "--x"]).lines.count == 1)
        #expect(ServerArguments(["--save", "--port", "1"]).lines.count == 2)
    }

    @Test func includesOtherFilesInPlace() throws {
        let folder = "/tmp/valk-config-test-\(UInt64.random(in: 0...UInt64.max))"
        let path = folder + "-inner.conf"
        guard case .success = TextFile.replace(path, with: Array("timeout 3\nport 4\n".utf8)) else {
            Issue.record("cannot write \(path)")
            return
        }
        defer { unlink(path) }
        let store = try loaded("port 1\ninclude \(folder)-inn*.conf\nport 9")
        #expect(store.integer("timeout") == 3)
        #expect(store.integer("port") == 9)
        #expect(fault("include \(folder)-missing.conf").contains("No such file or directory"))
        #expect(store.file == nil)
    }

    @Test(arguments: [
        (
            "\nprot 1",
            ["at line 2", ">>> 'prot 1'", "Bad directive", "did you mean 'port'?", "FATAL CONFIG FILE ERROR"]
        ),
        ("port", ["wrong number of arguments", "a whole number from 0 to 65535"]),
        ("port 1 2", ["wrong number of arguments"]),
        ("port 70000", ["argument must be between 0 and 65535 inclusive"]),
        ("port x", ["argument couldn't be parsed into an integer", "Expected for 'port'"]),
        ("appendonly maybe", ["argument must be 'yes' or 'no'"]),
        ("dir \"abc", ["Unbalanced quotes in configuration line"]),
        ("dir /nonexistent/folder", ["No such file or directory"]),
        ("space-target 3", ["argument must be between 1.1 and 2.0 inclusive"]),
        ("appendfsync sometimes", ["everysec, always, no"]),
        ("replicaof 127.0.0.1 6379", ["Valk cannot be a replica yet"]),
        ("cluster-enabled yes", ["no cluster mode"]),
        ("user", ["Bad directive or wrong number of arguments"]),
        ("maxmemory 1gbb", ["argument must be a memory value", "optional unit"]),
    ])
    func saysWhatIsWrong(_ text: String, _ parts: [String]) {
        let message = fault(text)
        for part in parts { #expect(message.contains(part), "\(message) lacks \(part)") }
    }

    @Test func refusedDirectivesMayKeepTheirDefault() throws {
        let store = try loaded("cluster-enabled no\ntls-port 0\naclfile \"\"\nreplicaof no one")
        #expect(!store.flag("cluster-enabled"))
    }

    @Test func remembersRenamedCommands() throws {
        let store = try loaded("rename-command FLUSHALL \"\"\nrename-command CONFIG cfg")
        #expect(store.renamedCommands.map(\.command) == ["flushall", "config"])
        #expect(store.renamedCommands.map(\.name) == ["", "cfg"])
    }

    @Test func rewriteKeepsCommentsAndOrderAndAddsWhatChanged() throws {
        let old = """
            # mine
            port 7000

            save 900 1
            save 300 10
            # about time
            timeout 5
            rename-command FLUSHALL gone
            """
        let store = try loaded(old)
        try store.set(
            [(Array("timeout".utf8), Array("9".utf8)), (Array("requirepass".utf8), Array("a b".utf8))], isLocal: true)
        let text = String(decoding: store.rewritten(splitLines(Array(old.utf8)).flatMap { $0 + [10] }), as: UTF8.self)
        #expect(
            text == """
                # mine
                port 7000

                save 900 1
                save 300 10
                # about time
                timeout 9
                rename-command FLUSHALL gone
                # Generated by CONFIG REWRITE
                requirepass "a b"

                """)
        #expect(try loaded(text).text("requirepass") == "a b")
        #expect(store.rewritten(Array(text.utf8)) == Array(text.utf8))
    }
}
