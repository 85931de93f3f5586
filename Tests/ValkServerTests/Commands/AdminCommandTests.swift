// Administration over a socket: CONFIG, INFO, COMMAND, SLOWLOG, saving, DEBUG, SHUTDOWN.

import Synchronization
import Testing
import ValkBase
import ValkCommands
import ValkDisk
import ValkEngine

@testable import ValkServer

@Suite struct AdminCommandTests {
    @Test func configReadsAndSetsAndReachesThePartsThatAct() throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("CONFIG", "GET", "timeout", "maxclient?") == "*[$timeout,$0,$maxclients,$10000]")
        #expect(try client.ask("CONFIG", "SET", "maxclients", "1", "timeout", "x").hasPrefix("-ERR CONFIG SET failed"))
        #expect(
            try client.ask("CONFIG", "SET", "maxclients") == "-ERR wrong number of arguments for 'config|set' command")
        #expect(try client.ask("CONFIG", "SET", "maxclients", "1", "timeout") == "-ERR syntax error")
        #expect(try client.ask("CONFIG", "SET", "maxclients", "1") == "+OK")
        let refused = try server.connect()
        #expect(try refused.line() == "-ERR max number of clients reached")
        #expect(try client.ask("CONFIG", "SET", "port", "0") == "+OK")
        #expect(throws: (any Error).self) { _ = try server.connect() }
        #expect(try client.ask("CONFIG", "REWRITE") == "-ERR The server is running without a config file")
        #expect(try client.ask("CONFIG", "NOSUCH") == "-ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP.")
    }

    @Test func infoHasItsSectionsAndCounts() throws {
        let server = try FullServer()
        let client = try server.connect()
        _ = try client.ask("SET", "a", "b")
        _ = try client.ask("GET", "a")
        _ = try client.ask("GET", "nothing")
        _ = try client.ask("INCR", "a")
        let info = try client.ask("INFO", "everything")
        for line in [
            "redis_version:7.0.15", "valk_version:", "connected_clients:1", "keyspace_hits:1", "keyspace_misses:1",
            "errorstat_ERR:count=1", "cmdstat_get:calls=2,", "role:master", "aof_enabled:1", "cluster_enabled:0",
            "maxclients:10000", "used_cpu_user:", "db0:keys=1,expires=0,avg_ttl=0", "run_id:", "loading:0",
        ] { #expect(info.contains("\r\n" + line), "INFO lacks \(line)") }
        #expect(try client.ask("INFO", "nosuch") == "$")
        #expect(try client.ask("INFO", "cluster") == "$# Cluster\r\ncluster_enabled:0\r\n")
        let two = try client.ask("INFO", "keyspace", "cluster")
        #expect(two.hasPrefix("$# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"))
        #expect(try !client.ask("INFO").contains("cmdstat_"))
        #expect(try client.ask("CONFIG", "RESETSTAT") == "+OK")
        #expect(try client.ask("INFO", "stats").contains("\r\nkeyspace_hits:0\r\n"))
    }

    @Test func commandTableIsDescribed() throws {
        let server = try FullServer()
        let client = try server.connect()
        let count = try client.ask("COMMAND", "COUNT").dropFirst()
        #expect(Int(count) == server.server.table.topLevel.count)
        #expect(try client.ask("COMMAND", "INFO", "nosuch") == "*[$nil]")
        #expect(try client.ask("COMMAND", "INFO", "get").hasPrefix("*[*[$get,:2,*[+readonly,+fast],:1,:1,:1,"))
        #expect(try client.ask("COMMAND", "LIST", "FILTERBY", "PATTERN", "getr*") == "*[$getrange]")
        #expect(try client.ask("COMMAND", "LIST", "FILTERBY", "MODULE", "x") == "*[]")
        #expect(try client.ask("COMMAND", "LIST", "x") == "-ERR syntax error")
        #expect(try client.ask("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2") == "*[$a,$b]")
        #expect(try client.ask("COMMAND", "GETKEYSANDFLAGS", "SET", "a", "1") == "*[*[$a,*[+OW,+update]]]")
        #expect(
            try client.ask("COMMAND", "GETKEYSANDFLAGS", "SET", "a", "1", "GET")
                == "*[*[$a,*[+RW,+access,+update]]]")
        #expect(try client.ask("COMMAND", "GETKEYS", "PING", "x") == "-ERR The command has no key arguments")
        #expect(try client.ask("COMMAND", "GETKEYS", "nosuch", "x") == "-ERR Invalid command specified")
        #expect(try client.ask("COMMAND", "DOCS", "get", "nosuch").hasPrefix("*[$get,*[$summary,$"))
    }

    @Test func everyHandlerHasItsSpecAndEverySpecItsHandler() throws {
        let server = try FullServer()
        let names = Set(server.server.table.fullNames)
        let administration = Administration(
            config: server.config, log: ServerLog(path: "/dev/null", level: .warning), slowLog: SlowLog(),
            stopRequest: {})
        for name in administration.handlers().names { #expect(names.contains(name), "no spec for \(name)") }
    }

    @Test func renamedCommandsAnswerUnderTheirNewName() throws {
        let server = try FullServer("rename-command FLUSHALL clear", "rename-command DEBUG \"\"")
        let client = try server.connect()
        #expect(try client.ask("FLUSHALL").hasPrefix("-ERR unknown command 'FLUSHALL'"))
        #expect(try client.ask("CLEAR") == "+OK")
        #expect(try client.ask("DEBUG", "JMAP").hasPrefix("-ERR unknown command 'DEBUG'"))
    }

    @Test func slowCommandsAreKept() throws {
        let server = try FullServer("slowlog-log-slower-than 0", "slowlog-max-len 2")
        let client = try server.connect()
        _ = try client.ask("PING")
        _ = try client.ask("SET", "a", "b")
        let slow = try client.ask("SLOWLOG", "GET", "1")
        #expect(slow.contains("*[$SET,$a,$b],$127.0.0.1:"))
        #expect(try client.ask("SLOWLOG", "LEN") == ":2")
        #expect(try client.ask("SLOWLOG", "GET", "-2") == "-ERR count should be greater than or equal to -1")
        _ = try client.ask("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        #expect(try client.ask("SLOWLOG", "RESET") == "+OK")
        #expect(try client.ask("SLOWLOG", "LEN") == ":0")
    }

    @Test func savingAnswersAsRedisDoes() throws {
        let server = try FullServer()
        let client = try server.connect()
        _ = try client.ask("SET", "a", "b")
        #expect(try client.ask("INFO", "persistence").contains("rdb_changes_since_last_save:1\r\n"))
        #expect(try client.ask("SAVE") == "+OK")
        #expect(try client.ask("INFO", "persistence").contains("rdb_changes_since_last_save:0\r\n"))
        #expect(try client.ask("INFO", "persistence").contains("\r\nbackups:1\r\n"))
        #expect(try client.ask("BGSAVE", "FOO") == "-ERR syntax error")
        #expect(try client.ask("BGSAVE", "SCHEDULE").hasPrefix("+Background saving "))
        while !(try client.ask("INFO", "persistence").contains("rdb_saves:2")) {}
        // The newest one is kept.
        let info = try client.ask("INFO", "persistence")
        #expect(info.contains("\r\nbackups:1\r\n") && info.contains("\r\nrdb_last_bgsave_status:ok\r\n"))
        let path = String(
            try #require(info.split(separator: "\r\n").first { $0.hasPrefix("last_backup:") }).dropFirst(12))
        #expect(try StoreVerifier.verify(disk: PosixDisk(), directory: path).isSound)
        #expect(try client.ask("BGREWRITEAOF").hasPrefix("+Background append only file rewriting "))
        #expect((Int(try client.ask("LASTSAVE").dropFirst()) ?? 0) > 1_700_000_000)
        while !(try client.ask("INFO", "persistence").contains("aof_rewrites:1")) {}
        #expect(try client.ask("CONFIG", "SET", "backups-kept", "0") == "+OK")
        #expect(try client.ask("SAVE") == "+OK")
        #expect(try client.ask("INFO", "persistence").contains("rdb_saves:3\r\nbackups:1\r\n"))
    }

    @Test func debugIsThereWhenAllowed() throws {
        let closed = try FullServer()
        #expect(try closed.connect().ask("DEBUG", "JMAP").hasPrefix("-ERR DEBUG command not allowed."))
        let server = try FullServer("enable-debug-command yes")
        let client = try server.connect()
        #expect(try client.ask("DEBUG", "JMAP") == "+OK")
        #expect(try client.ask("DEBUG", "SLEEP", "0.01") == "+OK")
        #expect(try client.ask("DEBUG", "PROTOCOL", "map") == "*[:0,:0,:1,:1,:2,:0]")
        #expect(try client.ask("DEBUG", "ERROR", "FOO bar") == "-FOO bar")
        #expect(try client.ask("DEBUG", "OBJECT", "nothing") == "-ERR no such key")
        _ = try client.ask("SET", "a", "b")
        #expect(try client.ask("DEBUG", "OBJECT", "a").contains("serializedlength:1"))
        #expect(try client.ask("DEBUG", "RELOAD") == "+OK")
        #expect(try client.ask("GET", "a") == "$b")
        #expect(try client.ask("DEBUG", "SET-ACTIVE-EXPIRE", "0") == "+OK")
        let expires = server.server.settings.activeExpire.load(ordering: .relaxed)
        #expect(!expires)
        #expect(
            try client.ask("DEBUG", "FOO")
                == "-ERR unknown subcommand or wrong number of arguments for 'FOO'. Try DEBUG HELP.")
    }

    @Test func whatIsNotThereSaysSo() throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("SCRIPT", "EXISTS", "a", "b") == "*[:0,:0]")
        #expect(try client.ask("SCRIPT", "FLUSH") == "+OK")
        #expect(try client.ask("FUNCTION", "FLUSH", "ASYNC") == "+OK")
        #expect(try client.ask("FUNCTION", "FLUSH", "x") == "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
        #expect(try client.ask("CLUSTER", "INFO") == "-ERR This instance has cluster support disabled")
        #expect(try client.ask("MODULE", "LIST") == "*[]")
        #expect(try client.ask("ACL", "WHOAMI") == "$default")
        #expect(try client.ask("LATENCY", "LATEST") == "*[]")
        #expect(try client.ask("MEMORY", "DOCTOR").hasPrefix("$Resident memory is "))
        #expect(try client.ask("LOLWUT").contains("Redis ver. 7.0.15"))
    }

    @Test func shutdownAsksForTheEndOnce() throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("SHUTDOWN", "FOO") == "-ERR syntax error")
        #expect(try client.ask("SHUTDOWN", "ABORT") == "-ERR No shutdown in progress.")
        #expect(server.stops.count == 0)
        try client.send(TestClient.encode("SHUTDOWN", "NOSAVE"))
        #expect(client.isClosed())
        #expect(server.stops.count == 1)
    }
}
