// The glance ahead finds the keys of whole requests and stops quietly at everything else.

import Testing
import ValkBase

@testable import ValkRESP

@Suite struct RequestPreviewTests {
    func look(_ text: [UInt8], room: Int = 16) -> (keys: [String], members: [String], requests: Int) {
        let keys = UnsafeMutablePointer<ByteView>.allocate(capacity: room)
        let members = UnsafeMutablePointer<ByteView>.allocate(capacity: room)
        defer {
            keys.deallocate()
            members.deallocate()
        }
        return text.withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { return ([], [], 0) }
            let found = RequestPreview.keys(
                base, from: 0, length: raw.count, into: keys, members: members, room: room)
            let all = 0..<found.keys
            return (all.map { keys[$0].string }, all.map { members[$0].string }, found.requests)
        }
    }

    @Test func findsTheFirstArgumentOfEachRequest() {
        let text = bytes("*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$2\r\nbb\r\n$1\r\nv\r\n")
        let found = look(text)
        #expect(found.keys == ["a", "bb"])
        #expect(found.requests == 3)
    }

    @Test func findsAllKeysOfMGETAndMSET() {
        let text =
            encode([bytes("mset"), bytes("a"), bytes("1"), bytes("b"), bytes("2")])
            + encode([bytes("MGET"), bytes("c"), bytes("d"), bytes("e")])
        #expect(look(text).keys == ["a", "b", "c", "d", "e"])
        #expect(look(text, room: 3).keys == ["a", "b", "c"])
    }

    @Test func findsTheFirstKeyOfScripts() {
        let text =
            encode([bytes("evalsha"), bytes("0123"), bytes("1"), bytes("k"), bytes("v")])
            + encode([bytes("FCALL"), bytes("f"), bytes("0")]) + encode([bytes("EXPIRE"), bytes("e"), bytes("1")])
        let found = look(text)
        #expect(found.keys == ["k", "e"])
        #expect(found.requests == 3)
    }

    @Test func findsTheFirstFieldOrMember() {
        let text =
            encode([bytes("HSET"), bytes("h"), bytes("f"), bytes("v")])
            + encode([bytes("hget"), bytes("h"), bytes("g")])
            + encode([bytes("sadd"), bytes("s"), bytes("m"), bytes("n")])
            + encode([bytes("zadd"), bytes("z"), bytes("1"), bytes("o")])
            + encode([bytes("ZINCRBY"), bytes("z"), bytes("1"), bytes("p")])
            + encode([bytes("zscore"), bytes("z"), bytes("q")]) + encode([bytes("set"), bytes("k"), bytes("v")])
            + encode([bytes("rpop"), bytes("l")])
        let found = look(text)
        #expect(found.keys == ["h", "h", "s", "z", "z", "z", "k", "l"])
        #expect(found.members == ["f", "g", "m", "o", "p", "q", "", ""])
    }

    @Test func givesNoKeyTheMemberOfAnother() {
        let long = [UInt8](repeating: 120, count: 200)
        let found = look(
            encode([bytes("hget"), bytes("h"), long]) + encode([bytes("hget"), long, bytes("f")])
                + encode([bytes("ping")]))
        #expect(found.keys == ["h"])
        #expect(found.members == [""])
        #expect(found.requests == 3)
    }

    @Test func stopsAtTheEndAndAtNonsense() {
        let text = bytes("*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$5\r\nab")
        #expect(look(text).keys == ["a"])
        for end in 0...text.count { #expect(look(Array(text[0..<end])).keys.count <= 1) }
        #expect(look(bytes("PING\r\n")).requests == 0)
        #expect(look(bytes("*2\r\n$99999999999999999999\r\n")).keys.isEmpty)
        #expect(look(bytes("*2\r\n$3\r\nGET\r\n$200\r\n") + [UInt8](repeating: 120, count: 210)).keys.isEmpty)
    }
}
