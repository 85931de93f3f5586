// Scripts that nobody would write: texts put together from parts of good ones, with bytes changed. Whatever they are,
// they must end, answer one whole reply, and leave the interpreter as it was.

import Testing
import ValkBase
import ValkScripting
import ValkTestSupport

@Suite struct ScriptFuzzTests {
    private static let parts = [
        "return {1, 'a', {2, nil, 3}, true, 1.5, {ok = 'x'}, {err = 'y'}, {double = 1.5}, {map = {a = 1}}}",
        "return redis.call('int') + redis.call('double').double",
        "for i = 1, 20 do local r = redis.pcall('array') if r[1] then t = r end end",
        "return cjson.encode({a = {1, 2, {b = cjson.null}}, c = 'x', d = 1e300})",
        "return cjson.decode('{\"a\":[1,2,{\"b\":null}],\"c\":\"\\\\u00e9\"}').a[3]",
        "return cmsgpack.pack(1, -5, 'abc', {1, 2}, {a = {b = 1}}, 1.5, nil, true)",
        "return {cmsgpack.unpack(cmsgpack.pack({1, {2, {3}}, a = 'b'}))}",
        "return {cmsgpack.unpack_limit('\\145\\129\\161a\\5\\207\\255\\255', 3, 0)}",
        "return {struct.unpack('>I2c3s!4i8Bc0', struct.pack('>I2c3s!4i8B', 1, 'abc', 'def', -9, 2) .. 'xy')}",
        "return struct.pack('<bBhHlLTi3I5fdxs', 1, 2, 3, 4, 5, 6, 7, 8, 9, 1.5, 2.5, 's')",
        "return {bit.band(0xff, 15), bit.tohex(-1, 4), bit.rol(1, 33), bit.bswap(5)}",
        "return {unpack({1, 2, 3}, -2, 5)}", "return redis.sha1hex(string.rep('x', 1000))",
        "local co = coroutine.wrap(function() coroutine.yield(1) error('x') end) co() return co()",
        "return {pcall(function() return setmetatable({}, {__index = function(t, k) return k .. k end}).abc end)}",
        "return (string.gsub('hello world', '%w+', function(w) return w:upper():rep(2) end))",
        "for k, v in pairs(_G) do if type(v) == 'table' then for a in pairs(v) do rawset(v, a, nil) end end end",
        "local t = {} for i = 1, 200 do t[i] = i % 7 end table.sort(t, function(a, b) return a > b end) return t",
        "return loadstring('return ' .. ARGV[1])()", "redis.setresp(3) return redis.call('map')",
        "return string.format('%s %d %q %5.2f %x', 'a', 1, 'b', 2, 255)", "while true do local x = {} end",
    ]

    @Test func anyTextEndsAndLeavesNothing() throws {
        var random = TestSeed("any script").random
        let scripts = Scripts()
        scripts.caller.replies = [
            "int": ":1\r\n", "double": ",1.5\r\n", "array": "*2\r\n$1\r\na\r\n*1\r\n:5\r\n",
            "map": "%1\r\n+a\r\n~1\r\n#t\r\n",
        ]
        scripts.caller.advice = { $0 % 50 == 0 ? .kill : .goOn }
        let good = "return type(redis.call) .. type(math.pi) .. ('x'):rep(2) .. tostring(next({})) .. #cjson.encode({})"
        let expected = try scripts.run(good)
        for round in 0..<3000 {
            let text = Self.text(&random)
            let script: CompiledScript
            do throws(Complaint) {
                script = try text.withView { view in Result { () throws(Complaint) in try scripts.cache.script(view) } }
                    .get()
            } catch {
                continue
            }
            let outcome = Views(["k1", "k2"]).with { keys in
                Views(["1 + 1"]).with { scripts.cache.run(script, keys: keys, arguments: $0, version: 3) }
            }
            #expect(!outcome.undone)
            #expect(outcome.reply.count > 2 && outcome.reply[outcome.reply.count - 1] == 0x0A, "round \(round)")
            if round % 100 == 0 {
                #expect(try scripts.run(good) == expected, "round \(round)")
                scripts.registry.removeAll()
            }
        }
        #expect(try scripts.run(good) == expected)
    }

    private static func text(_ random: inout SeededRandom) -> [UInt8] {
        func below(_ n: Int) -> Int { Int(random.next() % UInt64(n)) }
        var text = Array(parts[below(parts.count)].utf8)
        for _ in 0..<below(4) {
            let other = Array(parts[below(parts.count)].utf8)
            let start = below(other.count)
            let piece = other[start..<min(other.count, start + 1 + below(12))]
            let at = below(text.count)
            switch below(3) {
            case 0: text[at] = Array("0123456789(){}[],.'=+-*/%#<>~:; aeintx".utf8)[below(38)]
            case 1: text.replaceSubrange(at..<min(text.count, at + piece.count), with: piece)
            default: text.insert(contentsOf: piece, at: at)
            }
        }
        return text
    }
}
