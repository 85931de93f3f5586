// Libraries of functions over real sockets: that they are stored, that a change is one transaction, that every thread
// follows, and that functions are transactions as scripts are.

import Testing
import ValkBase

@testable import ValkServer

@Suite struct FunctionTests {
    private static let library = """
        #!lua name=lib
        local calls = 0
        redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
        redis.register_function{
            function_name = 'look', flags = {'no-writes'}, callback = function(keys) return redis.call('GET', keys[1]) end}
        redis.register_function('swap', function()
            local a, b = redis.call('GET', 'a'), redis.call('GET', 'b')
            redis.call('SET', 'a', b) redis.call('SET', 'b', a) return a .. b end)
        redis.register_function('count', function() calls = calls + 1 return calls end)
        """

    @Test func librariesSurviveARestart() throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("FUNCTION", "LOAD", Self.library) == "$lib")
        #expect(
            try client.ask("FUNCTION", "LOAD", "#!lua name=other\nredis.register_function('o', function() end)")
                == "$other")
        #expect(try client.ask("FUNCTION", "DELETE", "other") == "+OK")
        #expect(try client.ask("FLUSHALL") == "+OK")
        let payload = try client.ask("FUNCTION", "LIST", "WITHCODE")
        try server.restart()
        let again = try server.connect()
        #expect(try again.ask("FUNCTION", "LIST", "WITHCODE") == payload)
        #expect(try again.ask("FCALL", "put", "1", "k", "v") == "+OK")
        #expect(try again.ask("FCALL_RO", "look", "1", "k") == "$v")
        #expect(try again.ask("FCALL", "o", "0") == "-ERR Function not found")
        #expect(try again.ask("FUNCTION", "FLUSH") == "+OK")
        try server.restart()
        #expect(try server.connect().ask("FCALL", "look", "0") == "-ERR Function not found")
    }

    @Test func everyThreadFollows() throws {
        let server = try FullServer("io-threads 3")
        let clients = try (0..<6).map { _ in try server.connect() }
        for round in 0..<3 {
            let text = "#!lua name=n\nredis.register_function('which', function() return \(round) end)"
            #expect(try clients[round].ask("FUNCTION", "LOAD", "REPLACE", text) == "$n")
            for client in clients { #expect(try client.ask("FCALL", "which", "0") == ":\(round)") }
        }
        #expect(try clients[0].ask("FUNCTION", "DELETE", "n") == "+OK")
        for client in clients { #expect(try client.ask("FCALL", "WHICH", "0") == "-ERR Function not found") }
    }

    @Test func functionsAreTransactions() throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("FUNCTION", "LOAD", Self.library) == "$lib")
        #expect(try client.ask("MSET", "a", "1", "b", "2") == "+OK")
        // It names no keys: it is undone once, and from then on begins with every stripe.
        #expect(try client.ask("FCALL", "swap", "0") == "$12")
        #expect(try client.ask("FCALL", "swap", "0") == "$21")
        #expect(try client.ask("MGET", "a", "b") == "*[$1,$2]")
        // What a library keeps for itself stays while it is there.
        #expect(try client.ask("FCALL", "count", "0") == ":1")
        #expect(try client.ask("FCALL", "count", "0") == ":2")
    }

    @Test func changesBelongToTheirTransaction() throws {
        let server = try FullServer()
        let client = try server.connect()
        let other = try server.connect()
        func queue(_ words: String...) throws {
            try client.send(TestClient.encode(words.map { Array($0.utf8) }))
            #expect(try client.reply() == "+QUEUED")
        }
        #expect(try client.ask("MULTI") == "+OK")
        try queue("FUNCTION", "LOAD", "#!lua name=m\nredis.register_function('m', function() return 'm' end)")
        try queue("FCALL", "m", "0")
        try queue("FUNCTION", "DELETE", "m")
        try queue("FCALL", "m", "0")
        try queue("FUNCTION", "LOAD", Self.library)
        #expect(try other.ask("FUNCTION", "LIST") == "*[]")
        #expect(try client.ask("EXEC") == "*[$m,$m,+OK,-ERR Function not found,$lib]")
        #expect(try other.ask("FCALL_RO", "look", "1", "x") == "$nil")
        #expect(try other.ask("FCALL", "m", "0") == "-ERR Function not found")
    }

    @Test func aLongFunctionCanBeKilled() throws {
        let server = try FullServer("busy-reply-threshold 1")
        let client = try server.connect()
        let other = try server.connect()
        let text = "#!lua name=long\nredis.register_function('long', function() while true do end end)"
        #expect(try client.ask("FUNCTION", "LOAD", text) == "$long")
        try client.send(TestClient.encode("FCALL", "long", "0"))
        let busy = "-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
        while try other.ask("PING") != busy {}
        #expect(try other.ask("SCRIPT", "KILL") == busy)
        #expect(
            try other.ask("FUNCTION", "STATS").hasPrefix(
                "*[$running_script,*[$name,$long,$command,*[$FCALL,$long,$0],$duration_ms,:"))
        #expect(try other.ask("FUNCTION", "KILL") == "+OK")
        #expect(
            try client.reply().hasPrefix(
                "-ERR Script killed by user with SCRIPT KILL... script: long, on @user_function:2."))
        #expect(try other.ask("PING") == "+PONG")
    }

    @Test func aLibraryThatNeverEndsIsRefused() throws {
        let client = try FullServer().connect()
        #expect(
            try client.ask("FUNCTION", "LOAD", "#!lua name=l\nwhile true do end")
                == "-ERR Error registering functions: ERR FUNCTION LOAD timeout")
        #expect(try client.ask("PING") == "+PONG")
    }

    @Test func payloadsGoThereAndBack() throws {
        let server = try FullServer()
        let client = try server.connect()
        #expect(try client.ask("FUNCTION", "LOAD", Self.library) == "$lib")
        try client.send(TestClient.encode("FUNCTION", "DUMP"))
        let length = Int(try client.line().dropFirst()) ?? 0
        let payload = Array(try client.take(length + 2).dropLast(2))
        func restore(_ payload: [UInt8], _ policy: String) throws -> String {
            try client.send(
                TestClient.encode([Array("FUNCTION".utf8), Array("RESTORE".utf8), payload, Array(policy.utf8)]))
            return try client.reply()
        }
        #expect(try restore(payload, "APPEND") == "-ERR Library lib already exists")
        #expect(try restore(payload, "REPLACE") == "+OK")
        #expect(try client.ask("FUNCTION", "FLUSH") == "+OK")
        #expect(try restore(payload, "APPEND") == "+OK")
        #expect(try client.ask("FCALL", "put", "1", "k", "v") == "+OK")
        for i in payload.indices {
            var damaged = payload
            damaged[i] ^= 1
            #expect(try restore(damaged, "FLUSH") == "-ERR DUMP payload version or checksum are wrong")
        }
        #expect(try client.ask("FCALL_RO", "look", "1", "k") == "$v")
    }
}
