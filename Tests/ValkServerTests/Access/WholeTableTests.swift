// No command runs that the user may not run: every command of the table, sent plainly, in a transaction and by a
// script, by a user who may do everything but that; every command with keys by one who may use others only; every
// command with channels likewise.

import Testing
import ValkBase
import ValkCommands

@testable import ValkServer

@Suite struct WholeTableTests {
    private let server: FullServer
    private let admin: TestClient

    init() throws {
        server = try FullServer("enable-debug-command yes")
        admin = try server.connect()
        #expect(try admin.ask("SET", "canary", "alive") == "+OK")
    }

    private func expectUntouched() throws {
        #expect(try admin.ask("GET", "canary") == "$alive")
        #expect(try admin.ask("DBSIZE") == ":1")
    }

    private func connect(_ name: String, _ rules: String...) throws -> TestClient {
        #expect(try admin.ask(["ACL", "SETUSER", name, "reset", "on", "nopass"] + rules) == "+OK")
        let client = try server.connect()
        #expect(try client.ask("AUTH", name, "x") == "+OK")
        return client
    }

    /// The commands that can be sent: containers only where they do something by themselves.
    private var sendable: [Int] {
        let table = server.server.table
        return (0..<table.count).filter { index in
            let entry = table.entries[index]
            if entry.isContainer && !entry.accepts(argumentCount: 1) { return false }
            return !entry.flags.contains(.noAuth)
        }
    }

    /// A call of a command with as few arguments as it takes; every free one is `filler`.
    private func call(_ index: Int, _ filler: String, keyCount: Bool = false) -> [String] {
        let table = server.server.table
        let spec = table.specs[index]
        var words = table.fullNames[index].split(separator: "|").map(String.init)
        var count = max(abs(spec.arity), words.count)
        if keyCount {
            for key in spec.keys {
                if case .keyCount(_, let first, _) = key.find, case .index(let begin) = key.begin {
                    count = max(count, begin + first + 1)
                }
            }
        }
        while words.count < count { words.append(filler) }
        if keyCount {
            for key in spec.keys {
                if case .keyCount(let at, _, _) = key.find, case .index(let begin) = key.begin {
                    words[begin + at] = "1"
                }
                // Keys behind a word alone (STREAMS) are none without it.
                if case .keyword(let word, let from) = key.begin, spec.keys.count == 1, from > 0, from < words.count {
                    words[from] = word
                }
            }
        }
        return words
    }

    @Test func noCommandRunsThatIsForbidden() throws {
        for index in sendable {
            let name = server.server.table.fullNames[index]
            let client = try connect("limited", "+@all", "~*", "&*", "-\(name)")
            let text = "NOPERM this user has no permissions to run the '\(name)' command"
            let refusal = name == "exec" ? "-EXECABORT Transaction discarded because of: \(text)" : "-\(text)"
            let call = call(index, "canary")
            #expect(try client.ask(call) == refusal)
            if name == "multi" || name == "exec" || name == "discard" { continue }
            #expect(try client.ask("MULTI") == "+OK")
            let isForTransactions = !server.server.table.entries[index].flags.contains(.noMulti)
            let queued = isForTransactions ? refusal : "-ERR Command not allowed inside a transaction"
            #expect(try client.ask(call) == queued)
            #expect(try client.ask("EXEC") == "-EXECABORT Transaction discarded because of previous errors.")
            if server.server.table.entries[index].flags.contains(.noscript) { continue }
            let said = try client.ask(["EVAL", "return redis.pcall(unpack(ARGV))", "0"] + call)
            #expect(
                said.hasPrefix("-ERR The user executing the script can't run this command or subcommand"), "\(name)")
        }
        try expectUntouched()
    }

    @Test func noCommandTouchesKeysThatAreForbidden() throws {
        let client = try connect("limited", "+@all", "~other:*", "&*")
        let refusal = "-NOPERM this user has no permissions to access one of the keys used as arguments"
        var checked = 0
        for index in sendable {
            let spec = server.server.table.specs[index]
            guard spec.readsAnyKey || spec.keys.contains(where: { !$0.flags.contains(.notKey) }) else { continue }
            checked += 1
            let call = call(index, "canary", keyCount: true)
            #expect(try client.ask(call) == refusal, "\(call)")
            if spec.flags.contains(.noscript) { continue }
            let said = try client.ask(["EVAL", "return redis.pcall(unpack(ARGV))", "0"] + call)
            let text =
                "-ERR The user executing the script can't access at least one of the keys mentioned in the command"
            #expect(said.hasPrefix(text), "\(call): \(said)")
        }
        #expect(checked > 60)
        try expectUntouched()
    }

    @Test func noCommandUsesChannelsThatAreForbidden() throws {
        let client = try connect("limited", "+@all", "~*", "&other:*")
        var checked = 0
        for index in sendable where server.server.table.specs[index].channels != nil {
            checked += 1
            #expect(
                try client.ask(call(index, "canary"))
                    == "-NOPERM this user has no permissions to access one of the channels used as arguments")
        }
        #expect(checked == 5)
    }

    /// Only what is needed to log in and to leave.
    @Test func whoHasNoRightsCanOnlyLogInAndLeave() throws {
        let client = try connect("nobody")
        for index in sendable {
            #expect(try client.ask(call(index, "canary")).contains("NOPERM this user has no permissions to run"))
        }
        let table = server.server.table
        let free = (0..<table.count).filter { table.entries[$0].flags.contains(.noAuth) }.map { table.fullNames[$0] }
        #expect(free.sorted() == ["auth", "hello", "quit", "reset"])
        try expectUntouched()
    }
}
