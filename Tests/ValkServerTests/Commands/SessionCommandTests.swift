// Sessions over a socket: PING to RESET, HELLO and AUTH, SELECT, CLIENT.

import Glibc
import Testing
import ValkBase

@testable import ValkServer

@Suite struct SessionCommandTests {
    /// A pause of writes holds back what is no write and has effects all the same; INFO counts who waits.
    @Test(arguments: [["PFCOUNT", "k"], ["PUBLISH", "news", "x"], ["SPUBLISH", "news", "x"], ["SET", "k", "v"]])
    func pausedClientsAreCounted(_ words: [String]) throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("CLIENT", "PAUSE", "100000", "WRITE") == "+OK")
        let other = try server.connect()
        try other.send(TestClient.encode(words.map { Array($0.utf8) }))
        while try !client.ask("INFO", "clients").contains("blocked_clients:1") { sched_yield() }
        #expect(try client.ask("CLIENT", "UNPAUSE") == "+OK")
        #expect(try other.reply() == (words[0] == "SET" ? "+OK" : ":0"))
        #expect(try client.ask("INFO", "clients").contains("blocked_clients:0"))
    }

    /// In a pause keys expire for those who ask, and what is stored stays as it is.
    @Test func aPauseOfWritesRemovesNoExpiredKeys() throws {
        let server = try FullServer()
        let client = try server.connect()
        _ = try client.ask("MULTI")
        _ = try client.ask("SET", "k", "v", "PX", "1")
        _ = try client.ask("CLIENT", "PAUSE", "100000", "WRITE")
        #expect(try client.ask("EXEC") == "*[+OK,+OK]")
        while try client.ask("GET", "k") != "$nil" { sched_yield() }
        #expect(try client.ask("GET", "k") == "$nil")
        #expect(try client.ask("INFO", "stats").contains("\r\nexpired_keys:0\r\n"))
        #expect(try client.ask("CLIENT", "UNPAUSE") == "+OK")
        while try !client.ask("INFO", "stats").contains("\r\nexpired_keys:1\r\n") {
            #expect(try client.ask("GET", "k") == "$nil")
        }
    }

    @Test func answersTheSimpleOnes() throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("PING") == "+PONG")
        #expect(try client.ask("PING", "x") == "$x")
        #expect(try client.ask("PING", "x", "y") == "-ERR wrong number of arguments for 'ping' command")
        #expect(try client.ask("ECHO", "hi") == "$hi")
        #expect(try client.ask("SELECT", "15") == "+OK")
        #expect(try client.ask("SELECT", "16") == "-ERR DB index is out of range")
        #expect(try client.ask("SELECT", "x") == "-ERR value is not an integer or out of range")
        #expect(try client.ask("ROLE") == "*[$master,:0,*[]]")
        #expect(try client.ask("WAIT", "0", "0") == ":0")
        #expect(try client.ask("RESET") == "+RESET")
        #expect(try client.ask("QUIT") == "+OK")
        #expect(client.isClosed())
    }

    @Test func helloChoosesTheProtocolAndNamesTheClient() throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("HELLO").hasPrefix("*[$server,$redis,$version,$7.0.15,$proto,:2,$id,:"))
        #expect(try client.ask("HELLO", "4") == "-NOPROTO unsupported protocol version")
        #expect(try client.ask("HELLO", "x") == "-ERR Protocol version is not an integer or out of range")
        #expect(try client.ask("HELLO", "2", "foo") == "-ERR Syntax error in HELLO option 'foo'")
        #expect(try client.ask("HELLO", "2", "SETNAME", "bob").hasPrefix("*["))
        #expect(try client.ask("CLIENT", "GETNAME") == "$bob")
        try client.send(TestClient.encode("HELLO", "3"))
        #expect(try client.line() == "%7")
        for _ in 0..<14 { _ = try client.reply() }
        try client.send(TestClient.encode("GET", "nothing"))
        #expect(try client.line() == "_")
        #expect(try client.ask("RESET") == "+RESET")
        #expect(try client.ask("GET", "nothing") == "$nil")
        #expect(try client.ask("CLIENT", "GETNAME") == "$nil")
    }

    @Test func passwordsAreAskedForAndMayChange() throws {
        let server = try FullServer("requirepass secret")
        let client = try server.connect()
        let wrong = "-WRONGPASS invalid username-password pair or user is disabled."
        #expect(try client.ask("GET", "a") == "-NOAUTH Authentication required.")
        #expect(try client.ask("HELLO", "2").hasPrefix("-NOAUTH HELLO must be called"))
        #expect(try client.ask("AUTH", "no") == wrong)
        #expect(try client.ask("AUTH", "secre") == wrong)
        #expect(try client.ask("AUTH", "secretsecret") == wrong)
        #expect(try client.ask("AUTH", "bob", "secret") == wrong)
        #expect(try client.ask("HELLO", "2", "AUTH", "default", "nope") == wrong)
        #expect(try client.ask("HELLO", "2", "AUTH", "default", "secret").hasPrefix("*["))
        #expect(try client.ask("GET", "a") == "$nil")
        #expect(try client.ask("CONFIG", "SET", "requirepass", "") == "+OK")
        let other = try server.connect()
        #expect(try other.ask("GET", "a") == "$nil")
        #expect(try other.ask("AUTH", "x").hasPrefix("-ERR AUTH <password> called without any password"))
        #expect(try other.ask("AUTH", "default", "x") == "+OK")
        #expect(try client.ask("SLOWLOG", "RESET") == "+OK")
    }

    @Test func clientsAreListedNamedAndClosed() throws {
        let server = try FullServer()
        let one = try server.connect()
        let two = try server.connect()
        let id = try two.ask("CLIENT", "ID").dropFirst()
        #expect(try two.ask("CLIENT", "SETNAME", "two") == "+OK")
        #expect(
            try two.ask("CLIENT", "SETNAME", "a b")
                == "-ERR Client names cannot contain spaces, newlines or special characters.")
        #expect(try two.ask("CLIENT", "SETINFO", "LIB-NAME", "lib") == "+OK")
        #expect(try two.ask("CLIENT", "SETINFO", "LIB-X", "lib") == "-ERR Unrecognized option 'LIB-X'")
        let line = try two.ask("CLIENT", "INFO")
        #expect(line.contains("id=\(id) ") && line.contains(" name=two ") && line.contains(" lib-name=lib "))
        #expect(line.contains(" cmd=client|info ") && line.contains(" qbuf=26 "))
        let list = try one.ask("CLIENT", "LIST")
        #expect(list.split(separator: "\n").count == 2)
        #expect(try one.ask("CLIENT", "LIST", "ID", String(id)).split(separator: "\n").count == 1)
        #expect(try one.ask("CLIENT", "LIST", "TYPE", "pubsub") == "$")
        #expect(try one.ask("CLIENT", "KILL", "1.2.3.4:1") == "-ERR No such client")
        #expect(try one.ask("CLIENT", "KILL", "ID", "x") == "-ERR client-id should be greater than 0")
        #expect(try one.ask("CLIENT", "KILL", "ID", String(id)) == ":1")
        #expect(two.isClosed())
        #expect(try one.ask("CLIENT", "KILL", "TYPE", "normal") == ":0")
        #expect(try one.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") == ":1")
        #expect(one.isClosed())
    }

    @Test func pauseAndReplyModesTakeTheirOptions() throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("CLIENT", "PAUSE", "x") == "-ERR timeout is not an integer or out of range")
        #expect(try client.ask("CLIENT", "PAUSE", "-1") == "-ERR timeout is negative")
        #expect(try client.ask("CLIENT", "PAUSE", "1", "FOO") == "-ERR CLIENT PAUSE mode must be WRITE or ALL")
        #expect(try client.ask("CLIENT", "PAUSE", "100000", "WRITE") == "+OK")
        #expect(try client.ask("GET", "a") == "$nil")
        #expect(try client.ask("CLIENT", "UNPAUSE") == "+OK")
        #expect(try client.ask("SET", "a", "b") == "+OK")
        try client.send(TestClient.encode("CLIENT", "REPLY", "SKIP") + TestClient.encode("PING"))
        #expect(try client.ask("ECHO", "1") == "$1")
        try client.send(TestClient.encode("CLIENT", "REPLY", "OFF") + TestClient.encode("PING"))
        #expect(try client.ask("CLIENT", "REPLY", "ON") == "+OK")
        #expect(try client.ask("CLIENT", "REPLY", "MAYBE") == "-ERR syntax error")
        #expect(try client.ask("CLIENT", "NO-EVICT", "ON") == "+OK")
        #expect(try client.ask("CLIENT", "NO-TOUCH", "MAYBE") == "-ERR syntax error")
        #expect(try client.ask("CLIENT", "FOO") == "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.")
        #expect(try client.ask("CLIENT", "TRACKINGINFO") == "*[$flags,*[$off],$redirect,:-1,$prefixes,*[]]")
    }
}
