// Every reply form in both protocol versions, byte by byte.

import Testing
import ValkBase

@testable import ValkRESP

@Suite struct ReplyWriterTests {
    func written(_ version: UInt8, _ body: (ReplyWriter) -> Void) -> String {
        let out = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
        out.initialize(to: ByteBuffer())
        defer {
            out.deinitialize(count: 1)
            out.deallocate()
        }
        body(ReplyWriter(out: out, version: version))
        return out.pointee.view.string
    }

    @Test func writesSimpleForms() {
        #expect(written(2) { $0.ok() } == "+OK\r\n")
        #expect(written(2) { $0.simple("PONG") } == "+PONG\r\n")
        #expect(written(2) { $0.error("ERR syntax error") } == "-ERR syntax error\r\n")
        #expect(written(2) { $0.error(String("ERR a\r\nb")) } == "-ERR a  b\r\n")
        #expect(written(2) { $0.integer(Int64.min) } == ":-9223372036854775808\r\n")
        #expect(written(2) { $0.bulk(String("héllo")) } == "$6\r\nhéllo\r\n")
        #expect(written(2) { $0.bulk(ByteView.empty) } == "$0\r\n\r\n")
        #expect(written(2) { $0.bulk(integer: -42) } == "$3\r\n-42\r\n")
    }

    @Test func writesWhatDiffersBetweenVersions() {
        #expect(written(2) { $0.null() } == "$-1\r\n")
        #expect(written(3) { $0.null() } == "_\r\n")
        #expect(written(2) { $0.nullArray() } == "*-1\r\n")
        #expect(written(3) { $0.nullArray() } == "_\r\n")
        #expect(written(2) { $0.map(2) } == "*4\r\n")
        #expect(written(3) { $0.map(2) } == "%2\r\n")
        #expect(written(2) { $0.set(2) } == "*2\r\n")
        #expect(written(3) { $0.set(2) } == "~2\r\n")
        #expect(written(2) { $0.push(2) } == "*2\r\n")
        #expect(written(3) { $0.push(2) } == ">2\r\n")
        #expect(written(2) { $0.double(1.5) } == "$3\r\n1.5\r\n")
        #expect(written(3) { $0.double(1.5) } == ",1.5\r\n")
        #expect(written(2) { $0.boolean(true) } == ":1\r\n")
        #expect(written(3) { $0.boolean(false) } == "#f\r\n")
        #expect(written(2) { $0.verbatim("hi") } == "$2\r\nhi\r\n")
        #expect(written(3) { $0.verbatim("hi") } == "=6\r\ntxt:hi\r\n")
    }

    @Test func namesTheErrorAsRedisDoes() {
        #expect(
            written(2) { ProtocolError.expectedBulk(UInt8(ascii: "x")).write(to: $0) }
                == "-ERR Protocol error: expected '$', got 'x'\r\n")
        #expect(
            written(2) { ProtocolError.invalidMultibulkLength.write(to: $0) }
                == "-ERR Protocol error: invalid multibulk length\r\n")
    }
}
