// The request parser against whole inputs, inputs split at every byte, and random pipelines in random pieces.

import Glibc
import Testing
import ValkBase

@testable import ValkRESP

func parse(_ text: [UInt8], limits: RequestLimits = RequestLimits()) -> (commands: [[[UInt8]]], error: ProtocolError?) {
    var feeder = Feeder()
    feeder.limits = limits
    var commands: [[[UInt8]]] = []
    feeder.feed(text, into: &commands)
    return (commands, feeder.error)
}

func seed() -> UInt64 {
    if let text = getenv("VALK_SEED"), let value = UInt64(String(cString: text)) { return value }
    return UInt64(valkTestSeed())
}

private func valkTestSeed() -> UInt64 {
    var t = timespec()
    clock_gettime(CLOCK_REALTIME, &t)
    return UInt64(t.tv_nsec) &+ UInt64(t.tv_sec) &* 1_000_003
}

@Suite struct RequestParserTests {
    @Test func parsesPipelinesInOrder() {
        let r = parse(bytes("*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"))
        #expect(r.error == nil)
        #expect(r.commands == [[bytes("PING")], [bytes("SET"), bytes("k"), []]])
    }

    @Test func ignoresEmptyMultibulksAndEmptyLines() {
        let r = parse(bytes("*0\r\n*-1\r\n\r\n\n*1\r\n$4\r\nPING\r\n"))
        #expect(r.error == nil)
        #expect(r.commands == [[bytes("PING")]])
    }

    @Test(arguments: [
        ("PING\r\n", [["PING"]]),
        ("PING\n", [["PING"]]),
        ("  set  k   v \r\n", [["set", "k", "v"]]),
        ("set k \"a b\\n\\x41\\\"\\\\\"\r\n", [["set", "k", "a b\nA\"\\"]]),
        ("set k 'a\\'b\\n'\r\n", [["set", "k", "a'b\\n"]]),
        ("set k \"\"\r\nget k\r\n", [["set", "k", ""], ["get", "k"]]),
        ("set k a\"b c\"\r\n", [["set", "k", "ab c"]]),
    ])
    func parsesInlineCommands(_ text: String, _ expected: [[String]]) {
        let r = parse(bytes(text))
        #expect(r.error == nil)
        #expect(r.commands == expected.map { $0.map(bytes) })
    }

    @Test(arguments: [
        ("*a\r\n", ProtocolError.invalidMultibulkLength),
        ("*20000000000\r\n", .invalidMultibulkLength),
        ("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", .expectedBulk(UInt8(ascii: "f"))),
        ("*1\r\n$-1\r\n", .invalidBulkLength),
        ("*1\r\n$2000000000\r\n", .invalidBulkLength),
        ("*1\r\n$x\r\n", .invalidBulkLength),
        ("set k \"abc\r\n", .unbalancedQuotes),
        ("set k \"abc\"d\r\n", .unbalancedQuotes),
        ("set k 'abc'd\r\n", .unbalancedQuotes),
    ])
    func refusesWhatIsNotTheProtocol(_ text: String, _ expected: ProtocolError) {
        #expect(parse(bytes(text)).error == expected)
    }

    @Test func boundsLines() {
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 65 << 10)
        #expect(parse(long).error == .tooBigInlineRequest)
        #expect(parse(bytes("*") + long).error == .tooBigMultibulkCount)
        #expect(parse(bytes("*1\r\n$") + long).error == .tooBigBulkCount)
    }

    @Test func boundsStrangersMore() {
        let stranger = RequestLimits(authenticated: false)
        #expect(parse(bytes("*11\r\n"), limits: stranger).error == .unauthenticatedMultibulkLength)
        #expect(parse(bytes("*1\r\n$16385\r\n"), limits: stranger).error == .unauthenticatedBulkLength)
        #expect(parse(bytes("*10\r\n$16384\r\n"), limits: stranger).error == nil)
    }

    @Test func aHugeCountCostsNoMemory() {
        var feeder = Feeder()
        var commands: [[[UInt8]]] = []
        feeder.feed(bytes("*2147483647\r\n$1\r\na\r\n"), into: &commands)
        #expect(feeder.error == nil)
        #expect(feeder.parser.memoryBytes <= 64 << 10)
    }

    @Test func saysHowMuchABigArgumentNeeds() {
        var feeder = Feeder()
        var commands: [[[UInt8]]] = []
        let head = bytes("*2\r\n$3\r\nGET\r\n$1000000\r\n")
        feeder.feed(head + bytes("abc"), into: &commands)
        #expect(feeder.parser.bytesWanted == head.count + 1_000_002)
        feeder.feed([UInt8](repeating: 1, count: 999_997) + bytes("\r\n"), into: &commands)
        #expect(commands.count == 1)
        #expect(commands.first?[1].count == 1_000_000)
    }

    @Test(arguments: [false, true])
    func givesTheSameForEverySplit(_ move: Bool) {
        let text = bytes(
            "*3\r\n$3\r\nSET\r\n$12\r\nhello\r\nworld\r\n$0\r\n\r\nset k \"a\\x41 b\"\r\n*0\r\n*1\r\n$4\r\nPING\r\n")
        let whole = parse(text)
        #expect(whole.error == nil)
        #expect(whole.commands.count == 3)
        for first in 0...text.count {
            for second in stride(from: first, through: text.count, by: 3) {
                var feeder = Feeder()
                var commands: [[[UInt8]]] = []
                feeder.feed(Array(text[0..<first]), into: &commands, move: move)
                feeder.feed(Array(text[first..<second]), into: &commands, move: move)
                feeder.feed(Array(text[second...]), into: &commands, move: move)
                #expect(feeder.error == nil && commands == whole.commands, "split at \(first) and \(second)")
            }
        }
        var single = Feeder()
        var commands: [[[UInt8]]] = []
        for b in text { single.feed([b], into: &commands, move: move) }
        #expect(commands == whole.commands)
    }

    @Test func survivesRandomPipelinesInRandomPieces() {
        let seed = seed()
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        for _ in 0..<300 {
            var expected: [[[UInt8]]] = []
            var text: [UInt8] = []
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let command = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                    (0..<Int.random(in: 0...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
                }
                expected.append(command)
                text += encode(command)
            }
            var feeder = Feeder()
            var commands: [[[UInt8]]] = []
            var at = 0
            while at < text.count {
                let end = min(text.count, at + Int.random(in: 1...60, using: &random))
                feeder.feed(Array(text[at..<end]), into: &commands, move: Bool.random(using: &random))
                at = end
            }
            #expect(feeder.error == nil && commands == expected, "seed \(seed)")
        }
    }

    /// Nonsense must end in an error or in commands, the same ones however it is cut, and never in a crash.
    @Test func nonsenseGivesTheSameHoweverItIsCut() {
        let seed = seed()
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let alphabet = bytes("*$\r\n0123456789-\"'\\x aP")
        for _ in 0..<2000 {
            var text = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            }
            if Bool.random(using: &random) { text = bytes("*2\r\n$1\r\n") + text }
            let whole = parse(text)
            var feeder = Feeder()
            var commands: [[[UInt8]]] = []
            for b in text { feeder.feed([b], into: &commands, move: true) }
            #expect(feeder.error == whole.error && commands == whole.commands, "seed \(seed)")
        }
    }
}
