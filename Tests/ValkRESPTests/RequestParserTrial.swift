// One input for the request parser, and all that must hold of it: the tests and the fuzzer (scripts/fuzz) share it.
//
// 1. However the bytes are cut, and wherever they lie, the same commands and the same error come out.
// 2. What was parsed, written down as requests, is parsed to the same commands again.
// 3. The memory that the parser takes is bounded by what has arrived, whatever the bytes announce.
// 4. `position` and `commandStart` stay within the input; `bytesWanted` lies beyond it.
//
// Input lies in memory of exactly its size, so that AddressSanitizer sees a read past its end.

import Glibc
import ValkBase
import ValkRESP

/// A connection's view of the parser: feeds bytes in pieces, moves the buffer about, drops what is finished.
struct Feeder: ~Copyable {
    var parser = RequestParser()
    var input = ByteBuffer()
    var limits = RequestLimits()
    var error: ProtocolError?
    /// What must not be; nil while all is well.
    var complaint: String?

    mutating func feed(_ bytes: [UInt8], into commands: inout [[[UInt8]]], move: Bool = false) {
        guard error == nil else { return }
        if move {
            // A fresh buffer each time: views of the unfinished command must follow.
            var other = ByteBuffer()
            other.ensureCapacity(input.count + bytes.count)
            other.append(input.view)
            input = other
        } else {
            input.ensureCapacity(input.count + bytes.count)
        }
        input.append(bytes)
        loop: while true {
            let outcome = parser.next(input.base, input.count, limits)
            if parser.commandStart > parser.position || parser.position > input.count {
                complaint = "\(parser.commandStart), then \(parser.position) of \(input.count)"
            }
            switch outcome {
            case .command:
                let a = parser.arguments
                commands.append((0..<a.count).map { a[$0].array })
            case .incomplete:
                let wanted = parser.bytesWanted
                if wanted > 0 && wanted <= input.count { complaint = "wants \(wanted) of \(input.count) bytes" }
                break loop
            case .failed(let e):
                error = e
                break loop
            }
        }
        let done = parser.commandStart
        input.removeFirst(done)
        parser.discard(done)
    }
}

enum RequestParserTrial {
    /// What is wrong with the way `text` is parsed; nil if nothing is.
    static func complaint(_ text: [UInt8]) -> String? {
        var strict = RequestLimits(authenticated: false)
        strict.bulkBytesMax = 512
        for limits in [RequestLimits(), strict] {
            let whole = run(text, limits, pieces: [], move: false)
            if let complaint = whole.complaint { return complaint }
            // Where the pieces end depends on the input alone, so that a finding can be repeated.
            let hash = text.reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
            var random = SeededRandom(seed: hash)
            let cuts = (0..<text.count).filter { _ in random.oneIn(7) }
            for (name, pieces) in [("every byte", Array(0..<text.count)), ("\(cuts)", cuts)] {
                for move in [false, true] {
                    let cut = run(text, limits, pieces: pieces, move: move)
                    if let complaint = cut.complaint { return "cut at \(name), moved \(move): \(complaint)" }
                    if cut.error != whole.error || cut.commands != whole.commands {
                        return """
                            cut at \(name), moved \(move): \(cut.commands.count) commands, \(describe(cut.error)) \
                            instead of \(whole.commands.count), \(describe(whole.error))
                            """
                    }
                }
            }
            // A stranger's inline command may have more words than a stranger's request.
            guard limits.authenticated else { continue }
            let again = run(whole.commands.flatMap(encode), limits, pieces: [], move: false)
            if again.error != nil || again.commands != whole.commands { return "written down, it reads otherwise" }
        }
        return previewComplaint(text)
    }

    private static func run(
        _ text: [UInt8], _ limits: RequestLimits, pieces: [Int], move: Bool
    ) -> (commands: [[[UInt8]]], error: ProtocolError?, complaint: String?) {
        var feeder = Feeder()
        feeder.limits = limits
        var commands: [[[UInt8]]] = []
        var from = 0
        for end in pieces + [text.count] where end > from {
            feeder.feed(Array(text[from..<end]), into: &commands, move: move)
            from = end
        }
        // Room for arguments doubles, from that for 1024.
        let views = max(1024, 2 * text.count) * MemoryLayout<ByteView>.stride
        let held = feeder.parser.memoryBytes
        let complaint = held > views ? "holds \(held) bytes for \(text.count)" : nil
        return (commands, feeder.error, feeder.complaint ?? complaint)
    }

    /// The glance ahead finds keys within the input only, and never more than there is room for.
    private static func previewComplaint(_ text: [UInt8]) -> String? {
        let room = 5
        let keys = UnsafeMutablePointer<ByteView>.allocate(capacity: room)
        let members = UnsafeMutablePointer<ByteView>.allocate(capacity: room)
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: text.count, alignment: 1)
        defer {
            keys.deallocate()
            members.deallocate()
            bytes.deallocate()
        }
        bytes.copyMemory(from: text, byteCount: text.count)
        for from in [0, text.count / 2, text.count] {
            let found = RequestPreview.keys(
                bytes, from: from, length: text.count, into: keys, members: members, room: room)
            if found.keys > room { return "a glance finds \(found.keys) keys, with room for \(room)" }
            for i in 0..<found.keys {
                let at = keys[i].base - UnsafeRawPointer(bytes)
                if at < from || at + keys[i].count > text.count { return "a key lies at \(at) of \(text.count)" }
                let place = members[i].base - UnsafeRawPointer(bytes)
                if members[i].count > 0 && (place < at + keys[i].count || place + members[i].count > text.count) {
                    return "a member lies at \(place), its key at \(at) of \(text.count)"
                }
            }
        }
        return nil
    }

    private static func describe(_ error: ProtocolError?) -> String { error.map { "\($0)" } ?? "no error" }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// A command as a client sends it.
func encode(_ command: [[UInt8]]) -> [UInt8] {
    var out = bytes("*\(command.count)\r\n")
    for a in command { out += bytes("$\(a.count)\r\n") + a + bytes("\r\n") }
    return out
}
