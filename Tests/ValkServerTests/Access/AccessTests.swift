// Users over sockets: changes that act at once on every loop, connections that end with their users, files, settings.

import Glibc
import Testing
import ValkBase
import ValkTestSupport

@testable import ValkServer

@Suite struct AccessTests {
    private func logIn(_ server: FullServer, _ name: String) throws -> TestClient {
        let client = try server.connect()
        #expect(try client.ask("AUTH", name, "x") == "+OK")
        return client
    }

    @Test func aChangeActsOnEveryLoopBeforeItIsAnswered() throws {
        let server = try FullServer("io-threads 3")
        let admin = try server.connect()
        #expect(try admin.ask("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~*", "&*") == "+OK")
        let clients = try (0..<6).map { _ in try logIn(server, "u") }
        for _ in 0..<30 {
            for client in clients { #expect(try client.ask("GET", "k") == "$nil") }
            #expect(try admin.ask("ACL", "SETUSER", "u", "-get") == "+OK")
            for client in clients { #expect(try client.ask("GET", "k").hasPrefix("-NOPERM")) }
            #expect(try admin.ask("ACL", "SETUSER", "u", "+@all") == "+OK")
        }
    }

    @Test func whoMayDoEverythingIsAskedOnce() throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("PING") == "+PONG")
        let gate = server.server.gate
        func isKnown() -> Bool {
            server.server.onLoop(0) { $0.connections[0].state.pointee.unrestrictedVersion == gate.accessVersion }
        }
        #expect(isKnown())
        #expect(try client.ask("ACL", "SETUSER", "other") == "+OK")
        #expect(!isKnown())
        #expect(try client.ask("PING") == "+PONG")
        #expect(isKnown())
    }

    @Test(arguments: [1, 3]) func connectionsEndWithTheirUser(loops: Int) throws {
        let server = try FullServer("io-threads \(loops)")
        let admin = try server.connect()
        #expect(try admin.ask("ACL", "SETUSER", "u", "on", "nopass", "+@all") == "+OK")
        let clients = try (0..<4).map { _ in try logIn(server, "u") }
        #expect(try admin.ask("ACL", "DELUSER", "u", "nobody") == ":1")
        #expect(try admin.ask("CLIENT", "LIST").split(separator: "\n").count == 1)
        for client in clients { #expect(client.isClosed()) }
        let last = try server.connect()
        #expect(try last.ask("AUTH", "u", "x").hasPrefix("-WRONGPASS"))
    }

    @Test func whoDeletesHimselfGetsTheAnswer() throws {
        let server = try FullServer()
        let admin = try server.connect()
        #expect(try admin.ask("ACL", "SETUSER", "u", "on", "nopass", "+@all") == "+OK")
        let client = try logIn(server, "u")
        #expect(try client.ask("ACL", "DELUSER", "u") == ":1")
        #expect(client.isClosed())
    }

    @Test(arguments: [1, 3]) func listenersEndWithTheirRight(loops: Int) throws {
        let server = try FullServer("io-threads \(loops)")
        let admin = try server.connect()
        #expect(try admin.ask("ACL", "SETUSER", "u", "on", "nopass", "+@all", "&a*", "&b*") == "+OK")
        let kinds = [("SUBSCRIBE", "ax"), ("PSUBSCRIBE", "a*"), ("SSUBSCRIBE", "ay"), ("SUBSCRIBE", "bx")]
        let clients = try kinds.map { kind in
            let client = try logIn(server, "u")
            #expect(try client.ask(kind.0, kind.1).hasPrefix("*[$"))
            return client
        }
        // More rights close nobody.
        #expect(try admin.ask("ACL", "SETUSER", "u", "&c") == "+OK")
        #expect(try admin.ask("CLIENT", "LIST").split(separator: "\n").count == 5)
        #expect(try admin.ask("ACL", "SETUSER", "u", "resetchannels", "&b*") == "+OK")
        #expect(try admin.ask("CLIENT", "LIST").split(separator: "\n").count == 2)
        for client in clients.dropLast() { #expect(client.isClosed()) }
        #expect(try admin.ask("PUBLISH", "bx", "m") == ":1")
        #expect(try clients[3].reply() == "*[$message,$bx,$m]")
    }

    /// What was allowed when it was queued is asked again; what else was queued runs.
    @Test func rightsAreAskedAgainAtExec() throws {
        let server = try FullServer()
        let admin = try server.connect()
        #expect(try admin.ask("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~*") == "+OK")
        let client = try logIn(server, "u")
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("SET", "a", "1") == "+QUEUED")
        #expect(try client.ask("SET", "b", "1") == "+QUEUED")
        #expect(try client.ask("PUBLISH", "c", "1").hasPrefix("-NOPERM"))
        #expect(try client.ask("DISCARD") == "+OK")
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("SET", "a", "1") == "+QUEUED")
        #expect(try client.ask("SET", "b", "1") == "+QUEUED")
        #expect(try admin.ask("ACL", "SETUSER", "u", "resetkeys", "~b") == "+OK")
        let late = "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. "
        #expect(
            try client.ask("EXEC")
                == "*[\(late)This command is no longer allowed for the following reason: no permission to touch the "
                + "specified keys,+OK]")
        #expect(try admin.ask("MGET", "a", "b") == "*[$nil,$1]")
    }

    /// A script that turns out to need more keys lets its transaction run again, but not what has been done for good.
    @Test func changesWithinATransactionAreMadeOnce() throws {
        let server = try FullServer()
        let client = try server.connect()
        for round in 0..<20 {
            #expect(try client.ask("MULTI") == "+OK")
            #expect(try client.ask("ACL", "USERS") == "+QUEUED")
            #expect(try client.ask("ACL", "SETUSER", "u", ">p", "on") == "+QUEUED")
            #expect(
                try client.ask("EVAL", "return redis.call('SET', 'x\(round)', redis.call('GET', 'y') or 1)", "0")
                    == "+QUEUED")
            #expect(try client.ask("ACL", "SETUSER", "u", "<p") == "+QUEUED")
            #expect(try client.ask("ACL", "DELUSER", "u") == "+QUEUED")
            #expect(try client.ask("EXEC") == "*[*[$default],+OK,+OK,+OK,:1]")
        }
    }

    /// MIGRATE's keys cannot be hidden behind words that look like its options.
    @Test func keysBehindWordsAreFound() throws {
        let server = try FullServer()
        let admin = try server.connect()
        #expect(try admin.ask("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~ok", "~KEYS") == "+OK")
        let client = try logIn(server, "u")
        let refusal = "-NOPERM this user has no permissions to access one of the keys used as arguments"
        let head = ["MIGRATE", "127.0.0.1", "1", "", "0", "1"]
        for tail in [
            ["KEYS", "no"], ["KEYS", "ok", "no"], ["KEYS", "no", "KEYS", "ok"], ["AUTH", "KEYS", "KEYS", "no"],
            ["AUTH2", "KEYS", "KEYS", "KEYS", "no"], ["AUTH", "x", "KEYS", "no", "KEYS", "ok"],
        ] { #expect(try client.ask(head + tail) == refusal, "\(tail)") }
        #expect(try client.ask(["MIGRATE", "127.0.0.1", "1", "no", "0", "1"]) == refusal)
        #expect(try !client.ask(head + ["AUTH", "KEYS", "KEYS", "ok"]).hasPrefix("-NOPERM"))
    }

    @Test func strangersGetNoLongAnswers() throws {
        let server = try FullServer("requirepass secret")
        let client = try server.connect()
        // More answers than sockets keep, and nobody who reads them.
        let piece = [[UInt8]](repeating: TestClient.encode("GET", "k"), count: 2000).flatMap { $0 }
        #expect(throws: TestClient.Failure.self) { for _ in 0..<400 { try client.send(piece) } }
    }

    // MARK: Files

    @Test func usersOfTheSettingsAreThere() throws {
        let server = try FullServer(
            "user default on nopass ~* &* +@all -flushall", "user alice on \">pa\\\"ss\" ~a:* +@read (+set ~w)",
            "requirepass ignored")
        let client = try server.connect()
        #expect(try client.ask("FLUSHALL").hasPrefix("-NOPERM"))
        #expect(try client.ask("AUTH", "alice", "pa\"ss") == "+OK")
        #expect(try client.ask("GET", "a:1") == "$nil")
        #expect(try client.ask("SET", "w", "1") == "+OK")
        #expect(try client.ask("SET", "a:1", "1").hasPrefix("-NOPERM this user has no permissions to access"))
    }

    @Test(arguments: [
        ["user alice +nosuch"], ["user alice (~a"], ["user alice ~a b"], ["user \"a b\" on"],
        ["user alice on", "aclfile users.acl"], ["aclfile /nonexistent/users.acl"],
    ])
    func wrongUsersStopTheStart(_ lines: [String]) throws {
        #expect(throws: StartFailure.self) { try FullServer(settings: lines) }
    }

    @Test func theSameUserTwiceIsNoSetting() throws {
        let config = ConfigStore()
        #expect(throws: ConfigFileError.self) {
            try config.load(lines: ["user a on", "user a off"].map { Array($0.utf8) }, origin: "a test")
        }
    }

    @Test func aFileIsTakenWholeOrNotAtAll() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/users.acl"
        func write(_ text: String) {
            guard case .success = TextFile.replace(path, with: Array(text.utf8)) else {
                Issue.record("cannot write \(path)")
                return
            }
        }
        write("user alice on nopass +@all ~*\n\nuser bob off -@all\n")
        let server = try FullServer("aclfile \(path)")
        let admin = try server.connect()
        #expect(try admin.ask("ACL", "USERS") == "*[$alice,$bob,$default]")
        let alice = try logIn(server, "alice")
        write("user alice on nopass +@all\nuser carol +nosuch\nuser carol on\nnonsense\n")
        let complaint = try admin.ask("ACL", "LOAD")
        #expect(
            complaint.contains(":2: Error in applying operation '+nosuch': Unknown command or category name in ACL. "))
        #expect(complaint.contains("WARNING: Duplicate user 'carol' found on line 3. "))
        #expect(complaint.contains(":4 should start with user keyword followed by the username. "))
        #expect(try alice.ask("GET", "k") == "$nil")
        #expect(try admin.ask("ACL", "USERS") == "*[$alice,$bob,$default]")
        write("user carol on nopass -@all +ping\n")
        #expect(try admin.ask("ACL", "LOAD") == "+OK")
        #expect(alice.isClosed())
        #expect(try admin.ask("ACL", "USERS") == "*[$carol,$default]")
        #expect(try admin.ask("ACL", "SETUSER", "dave", ">x", "~a", "(%R~b +get)") == "+OK")
        #expect(try admin.ask("ACL", "SAVE") == "+OK")
        let list = try admin.ask("ACL", "LIST")
        #expect(try admin.ask("ACL", "LOAD") == "+OK")
        #expect(try admin.ask("ACL", "LIST") == list)
    }

    @Test func rewritingKeepsUsers() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/valk.conf"
        let old = "# mine\nuser gone on\nport 6379\n"
        guard case .success = TextFile.replace(path, with: Array(old.utf8)) else { return }
        let server = try FullServer(settings: ["user gone on"], file: path)
        let admin = try server.connect()
        #expect(try admin.ask("ACL", "DELUSER", "gone") == ":1")
        #expect(try admin.ask("ACL", "SETUSER", "alice", "on", ">x", "~a*", "+get") == "+OK")
        #expect(try admin.ask("CONFIG", "REWRITE") == "+OK")
        guard case .success(let bytes) = TextFile.read(path) else { return }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        #expect(lines[0] == "# mine")
        #expect(
            lines[1].hasPrefix("user alice on #2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 ~a* "))
        #expect(lines[2] == "user default on nopass ~* &* +@all")
        #expect(lines.filter { $0.hasPrefix("user ") }.count == 2)
    }

    @Test func renamedCommandsDoWhatTheyDid() throws {
        let server = try FullServer(
            "rename-command MULTI begin", "rename-command EXEC end", "rename-command DISCARD forget",
            "rename-command SUBSCRIBE listen", "rename-command PING \"\"")
        let client = try server.connect()
        #expect(try client.ask("BEGIN") == "+OK")
        #expect(try client.ask("BEGIN") == "-ERR MULTI calls can not be nested")
        #expect(try client.ask("SET", "k", "v") == "+QUEUED")
        #expect(try client.ask("END") == "*[+OK]")
        #expect(try client.ask("BEGIN") == "+OK")
        #expect(try client.ask("FORGET") == "+OK")
        #expect(try client.ask("EXEC").hasPrefix("-ERR unknown command"))
        #expect(try client.ask("PING").hasPrefix("-ERR unknown command"))
        #expect(try client.ask("LISTEN", "c") == "*[$subscribe,$c,:1]")
        #expect(try client.ask("LISTEN", "d") == "*[$subscribe,$d,:2]")
        #expect(try client.ask("GET", "k").hasPrefix("-ERR Can't execute 'get'"))
    }

    @Test func secretsOfRenamedCommandsStayHidden() throws {
        let server = try FullServer(
            "rename-command AUTH enter", "rename-command ACL rights", "slowlog-log-slower-than 0")
        let client = try server.connect()
        let monitor = try server.connect()
        #expect(try monitor.ask("MONITOR") == "+OK")
        #expect(try client.ask("RIGHTS", "SETUSER", "u", "on", ">secret", "+@all") == "+OK")
        #expect(try client.ask("ENTER", "u", "secret") == "+OK")
        #expect(try monitor.line().contains("\"ENTER\" \"(redacted)\" \"(redacted)\""))
        let log = try client.ask("SLOWLOG", "GET", "10")
        #expect(log.contains("$RIGHTS,$SETUSER,$(redacted),$(redacted)"))
        #expect(!log.contains("secret"))
    }

    @Test func renamedCommandsKeepTheirNamesInRules() throws {
        let server = try FullServer(
            "rename-command FLUSHALL \"\"", "rename-command GET fetch",
            "user default on nopass ~* &* +@all -flushall -get")
        let client = try server.connect()
        #expect(try client.ask("FETCH", "k") == "-NOPERM this user has no permissions to run the 'get' command")
        #expect(try client.ask("ACL", "GETUSER", "default").contains("$+@all -get -flushall"))
        #expect(try client.ask("FLUSHALL").hasPrefix("-ERR unknown command"))
    }
}
