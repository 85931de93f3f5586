// The host of scripts without a server: what a script can do to the interpreter, what it cannot, and how it ends.

import Testing
import ValkBase
import ValkRESP
import ValkScripting

/// Answers commands from a table of replies and remembers what was asked for.
final class FakeCaller: ScriptCaller {
    var replies: [String: String] = [:]
    var calls: [[String]] = []
    var lines: [String] = []
    var ticks = 0
    var advice: (Int) -> TickAdvice = { _ in .goOn }
    var undoes = false
    private var reply: [UInt8] = []
    private let memory = UnsafeMutableRawPointer.allocate(byteCount: 1 << 16, alignment: 16)

    deinit { memory.deallocate() }

    func call(_ arguments: ArgumentList, version: UInt8) -> ScriptAnswer {
        calls.append((0..<arguments.count).map { arguments[$0].string })
        if undoes { return .undo }
        guard let text = replies[arguments[0].string] else {
            return .refused(ByteView("Unknown Redis command called from script"))
        }
        let bytes = Array(text.utf8)
        memory.copyMemory(from: bytes, byteCount: bytes.count)
        return .reply(ByteView(base: UnsafeRawPointer(memory), count: bytes.count))
    }

    func log(level: Int, _ text: ByteView) { lines.append("\(level) \(text.string)") }

    func permits(_ arguments: ArgumentList) -> Bool? { replies[arguments[0].string] == nil ? nil : true }

    func tick() -> TickAdvice {
        ticks += 1
        return advice(ticks)
    }
}

/// A cache with its registry and caller; runs texts.
final class Scripts {
    let caller = FakeCaller()
    let registry = ScriptRegistry()
    let cache: ScriptCache

    init(deprecated: Bool = false) {
        cache = ScriptCache(registry, caller: caller, deprecated: deprecated, version: "7.0.15")
    }

    /// The reply, with line ends as "|"; nil when the script was undone.
    func run(_ text: String, keys: [String] = [], _ arguments: [String] = [], version: UInt8 = 2) throws -> String? {
        let script = try Views([text]).with { list in Result { () throws(Complaint) in try cache.script(list[0]) } }
            .get()
        let outcome = Views(keys).with { keys in
            Views(arguments).with { cache.run(script, keys: keys, arguments: $0, version: version) }
        }
        if outcome.undone { return nil }
        return outcome.reply.string.split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "|")
    }

    func complaint(_ text: String) -> String {
        switch Views([text]).with({ list in Result { () throws(Complaint) in try cache.script(list[0]) } }) {
        case .success: ""
        case .failure(let complaint): String(decoding: complaint.bytes, as: UTF8.self)
        }
    }
}

/// Arguments as a parser would hand them over.
struct Views {
    let texts: [[UInt8]]

    init(_ texts: [String]) { self.texts = texts.map { Array($0.utf8) } }

    func with<R>(_ body: (ArgumentList) -> R) -> R {
        let size = texts.reduce(1) { $0 + $1.count }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        let views = UnsafeMutablePointer<ByteView>.allocate(capacity: texts.count + 1)
        defer {
            memory.deallocate()
            views.deallocate()
        }
        var at = memory
        for (i, text) in texts.enumerated() {
            at.copyMemory(from: text, byteCount: text.count)
            (views + i).initialize(to: ByteView(base: at, count: text.count))
            at += text.count
        }
        return body(ArgumentList(views: views, count: texts.count))
    }
}

@Suite struct ScriptHostTests {
    // MARK: Values

    @Test(arguments: [
        ("return 1", ":1|"), ("return 3.99", ":3|"), ("return -3.99", ":-3|"), ("return 'a'", "$1|a|"),
        ("return true", ":1|"), ("return false", "$-1|"), ("return nil", "$-1|"), ("", "$-1|"),
        ("return {1,'b',{3},nil,5}", "*3|:1|$1|b|*1|:3||"), ("return {}", "*0|"), ("return {ok='fine'}", "+fine|"),
        ("return {ok='a\\r\\nb'}", "+a  b|"), ("return {err='MY bad'}", "-MY bad|"),
        ("return {double=3.5}", "$3|3.5|"), ("return {map={a=1}}", "*2|$1|a|:1|"),
        ("return {set={a=true}}", "*1|$1|a|"),
        ("return {big_number='123'}", "$3|123|"), ("return {verbatim_string={format='txt',string='hi'}}", "$2|hi|"),
        ("return redis.error_reply('x')", "-ERR x|"), ("return redis.error_reply('-X y')", "-X y|"),
        ("return redis.error_reply('X y')", "-X y|"), ("return {big_number='1\\r\\n2'}", "$4|1  2|"),
        ("return redis.status_reply('x')", "+x|"),
    ])
    func valuesBecomeReplies(_ text: String, _ reply: String) throws {
        let got = try Scripts().run(text)
        #expect(got?.filter { $0 != "|" } == reply.filter { $0 != "|" }, "\(text)")
    }

    @Test(arguments: [
        ("return {double=3.5}", ",3.5|"), ("return {map={a=1}}", "%1|$1|a|:1|"), ("return {set={a=true}}", "~1|$1|a|"),
        ("return {big_number='123'}", "(123|"), ("return nil", "_|"), ("return true", ":1|"),
        ("return {verbatim_string={format='txt',string='hi'}}", "=6|txt:hi|"),
        ("redis.setresp(3) return {true,false}", "*2|#t|#f|"),
    ])
    func valuesBecomeRepliesOfVersion3(_ text: String, _ reply: String) throws {
        #expect(try Scripts().run(text, version: 3) == reply)
    }

    @Test func repliesBecomeValues() throws {
        let scripts = Scripts()
        scripts.caller.replies = [
            "int": ":-42\r\n", "bulk": "$3\r\na\r\n\r\n", "null": "$-1\r\n", "nullarray": "*-1\r\n", "ok": "+OK\r\n",
            "array": "*3\r\n:1\r\n$-1\r\n*1\r\n+x\r\n", "map": "%1\r\n$1\r\na\r\n:1\r\n", "set": "~1\r\n$1\r\na\r\n",
            "true": "#t\r\n", "double": ",1.5\r\n", "null3": "_\r\n", "big": "(99\r\n", "text": "=6\r\ntxt:hi\r\n",
            "fails": "-CODE text\r\n",
        ]
        for (text, reply) in [
            ("return redis.call('int')", ":-42|"), ("return #redis.call('bulk')", ":3|"),
            ("return type(redis.call('null'))", "$7|boolean|"), ("return type(redis.call('nullarray'))", "$7|boolean|"),
            ("return redis.call('ok').ok", "$2|OK|"), ("return redis.call('array')[3][1].ok", "$1|x|"),
            ("return redis.call('map').map.a", ":1|"), ("return tostring(redis.call('set').set.a)", "$4|true|"),
            ("return tostring(redis.call('true'))", "$4|true|"), ("return redis.call('double').double * 2", ":3|"),
            ("return type(redis.call('null3'))", "$3|nil|"), ("return redis.call('big').big_number", "$2|99|"),
            ("return redis.call('text').verbatim_string.format", "$3|txt|"),
            ("return redis.pcall('fails').err", "$9|CODE text|"),
            ("return {pcall(redis.call, 'fails')}", "*2|$-1|$9|CODE text|"),
            ("return #redis.call('array')", ":3|"),
        ] {
            #expect(try scripts.run(text) == reply, "\(text)")
        }
    }

    @Test func argumentsKeepTheirDigits() throws {
        let scripts = Scripts()
        scripts.caller.replies = ["c": "+OK\r\n"]
        _ = try scripts.run(
            "redis.call('c', 1, 1.5, 12345678901234567, 1e20, -0, 0.1, 'x', KEYS[1], ARGV[2])", keys: ["k"], ["a", "b"])
        #expect(
            scripts.caller.calls == [
                ["c", "1", "1.5", "12345678901234568", "1e+20", "-0", "0.10000000000000001", "x", "k", "b"]
            ])
    }

    // MARK: Errors

    @Test func errorsNameTheirPlace() throws {
        let scripts = Scripts()
        let text = "local a = 1\nerror('x')"
        let digest = ScriptDigest(of: ByteView("local a = 1\nerror('x')")).digits
        let name = String(decoding: digest, as: UTF8.self)
        #expect(try scripts.run(text) == "-ERR user_script:2: x script: \(name), on @user_script:2.|")
        #expect(scripts.complaint("foo bar").hasPrefix("Error compiling script (new function): user_script:1: '='"))
        #expect(scripts.complaint("#!lua flags=what\nreturn 1") == "Unexpected flag in script shebang: what")
        #expect(scripts.complaint("\u{1b}Lua").hasSuffix("attempt to load a binary chunk"))
    }

    // MARK: What scripts share

    @Test(arguments: [
        "x = 1", "redis.call = 1", "string.foo = 1", "math.pi = 3", "rawset(_G, 'x', 1)", "setmetatable(_G, {})",
        "rawset(redis, 'call', 1)", "table.insert(redis, 1)", "getmetatable('').__index = 1", "table.remove(math)",
        "getmetatable(_G).__index = 1", "KEYS = {}", "for k, v in pairs(redis) do redis[k] = 1 end",
        "local f, t = pairs(redis); t.call = 1", "table.sort(redis)",
    ])
    func nothingSharedCanBeChanged(_ text: String) throws {
        let scripts = Scripts()
        let reply = try scripts.run(text) ?? "undone"
        #expect(reply.contains("Attempt to modify a readonly table"), "\(text): \(reply)")
        #expect(try scripts.run("return type(redis.call) .. type(math.pi) .. ('x'):rep(2)") == "$16|functionnumberxx|")
    }

    @Test func whatIsMissingIsSaid() throws {
        let scripts = Scripts()
        for name in ["os", "io", "print", "dofile", "require", "newproxy", "getfenv", "setfenv", "debug", "nothing"] {
            let reply = try scripts.run("return \(name)") ?? "undone"
            #expect(reply.contains("nonexistent global variable '\(name)'"), "\(name)")
        }
        #expect(try Scripts(deprecated: true).run("return type(newproxy) .. type(getfenv)") == "$16|functionfunction|")
    }

    @Test func standInsLookLikeTheirTables() throws {
        let scripts = Scripts()
        for (text, reply) in [
            ("local n = 0 for k, v in pairs(math) do n = n + 1 end return n > 25", ":1|"),
            ("return type(next(redis))", "$6|string|"), ("return type(rawget(_G, 'redis'))", "$5|table|"),
            ("return tostring(_G.redis == redis)", "$4|true|"), ("return tostring(getmetatable(redis))", "$3|nil|"),
            ("return type(getmetatable(_G))", "$5|table|"), ("return ('a'):upper()", "$1|A|"),
        ] {
            #expect(try scripts.run(text) == reply, "\(text)")
        }
    }

    @Test func bytecodeIsRefused() throws {
        let scripts = Scripts()
        #expect(
            try scripts.run("local f, e = loadstring(string.dump(function() end)) return {tostring(f), e}")
                == "*2|$3|nil|$30|attempt to load a binary chunk|")
        #expect(
            try scripts.run(
                "local s, n = string.dump(function() end), 0 "
                    + "local f, e = load(function() n = n + 1 return n <= #s and s:sub(n, n) or nil end) return e")
                == "$30|attempt to load a binary chunk|")
        #expect(try scripts.run("return load(function() return nil end) and 1 or 2") == ":1|")
        #expect(
            try scripts.run("local n = 0 return load(function() n = n + 1 return ({'return ', '7'})[n] end)()") == ":7|"
        )
    }

    // MARK: Ends

    /// Every way in which a script could keep itself from being ended.
    static let stubborn = [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function(e) while true do end end) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "while true do load(function() while true do end end) end",
        "setmetatable({}, {__index = function() while true do end end}).x = pcall(function() end)"
            + " local t = setmetatable({}, {__index = function() while true do end end})"
            + " while true do pcall(function() return t.x end) end",
        "while true do pcall(table.sort, {3, 2, 1}, function() while true do end end) end",
        "while true do pcall(string.gsub, 'abc', '.', function() while true do end end) end",
        "local function f() while true do pcall(f) end end f()",
    ]

    @Test(arguments: stubborn)
    func canAlwaysBeUndone(_ text: String) throws {
        let scripts = Scripts()
        scripts.caller.advice = { $0 >= 3 ? .undo : .goOn }
        #expect(try scripts.run(text) == nil)
        #expect(scripts.caller.ticks == 3, "after one word nothing of the script runs any more")
        scripts.caller.advice = { _ in .goOn }
        #expect(try scripts.run("return 1") == ":1|")
    }

    @Test(arguments: stubborn)
    func canAlwaysBeKilled(_ text: String) throws {
        let scripts = Scripts()
        scripts.caller.advice = { $0 >= 3 ? .kill : .goOn }
        let reply = try scripts.run(text) ?? "undone"
        #expect(reply.contains("Script killed by user with SCRIPT KILL"), "\(reply)")
        scripts.caller.advice = { _ in .goOn }
        #expect(try scripts.run("return 1") == ":1|")
    }

    @Test func aCallCanUndoTheScript() throws {
        let scripts = Scripts()
        scripts.caller.undoes = true
        #expect(try scripts.run("while true do pcall(redis.call, 'c') redis.pcall('c') end") == nil)
        #expect(scripts.caller.calls.count == 1)
    }

    @Test func deepThingsEndInErrors() throws {
        let scripts = Scripts()
        for text in [
            "local function f() return 1 + f() end return f()",
            "local function f(s) return (s:gsub('.', f)) end return f('x')",
            "local function f() return coroutine.wrap(f)() end return f()",
            "return {unpack({1, 2, 3}, -2, 2147483647)}", "return {unpack({}, -2147483648, -2)}",
            "return {unpack({}, 1, 1e7)}",
            "local t = {} for i = 1, 100000 do t = {t} end return cjson.encode(t)",
            "return cjson.decode(string.rep('[', 100000))",
            "return string.rep('(', 100000):find(string.rep('(', 100000))",
            "return loadstring('return ' .. string.rep('(', 100000))()",
        ] {
            let reply = try scripts.run(text) ?? "undone"
            #expect(reply.hasPrefix("-ERR"), "\(text): \(reply)")
        }
        let nested = try scripts.run("local t = {} for i = 1, 100000 do t = {t} end return t") ?? "undone"
        #expect(nested.contains("-ERR reached lua stack limit"))
    }

    // MARK: The rest

    @Test func randomNumbersAreThoseOfDrand48() throws {
        #expect(try Scripts().run("return math.floor(math.random() * 1e9)") == ":396464773|")
        #expect(
            try Scripts().run(
                "math.randomseed(5) local t = {} for i = 1, 5 do t[i] = math.random(1000000) end return t")
                == "*5|:524840|:272855|:788600|:198070|:518233|")
    }

    @Test func digestsAreThoseOfTheStandard() {
        func digits(_ text: String) -> String {
            Array(text.utf8).withView { String(decoding: ScriptDigest(of: $0).digits, as: UTF8.self) }
        }
        #expect(digits("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        #expect(digits("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(digits(String(repeating: "a", count: 1_000_000)) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f")
        #expect(
            digits("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "84983e441c3bd26ebaae4aa1f95129e5e54670f1")
    }

    @Test func logLinesArePassedOn() throws {
        let scripts = Scripts()
        _ = try scripts.run("redis.log(redis.LOG_WARNING, 'a', 1, 'b') redis.log(0, '')")
        #expect(scripts.caller.lines == ["3 a 1 b", "0 "])
    }

    /// Redis asks the same of its one interpreter.
    @Test func manyCallsLeaveNothingInTheInterpreter() throws {
        let scripts = Scripts()
        scripts.caller.replies = ["incr": ":1\r\n"]
        for _ in 0..<10_000 {
            #expect(try scripts.run("return redis.call('incr', KEYS[1])", keys: ["x"]) == ":1|")
        }
        #expect(scripts.cache.memoryBytes > 0 && scripts.cache.memoryBytes < 100 << 10)
    }

    @Test func aFlushForgetsScripts() throws {
        let scripts = Scripts()
        #expect(try scripts.run("return 5") == ":5|")
        #expect(scripts.registry.size.count == 1)
        let digits = ScriptDigest(of: ByteView("return 5")).digits
        #expect(digits.withView { scripts.cache.script(digits: $0) } != nil)
        // Another thread finds what this one has loaded.
        let other = ScriptCache(scripts.registry, caller: scripts.caller, deprecated: false, version: "7.0.15")
        #expect(digits.withView { other.script(digits: $0) } != nil)
        scripts.registry.removeAll()
        #expect(digits.withView { scripts.cache.script(digits: $0) } == nil)
        #expect(digits.withView { other.script(digits: $0) } == nil)
        #expect(scripts.registry.size.count == 0)
    }
}
