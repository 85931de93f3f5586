// The first line of a script that says something about itself: "#!lua flags=no-writes,allow-stale".

import CValkLua
import ValkBase

package enum ScriptHeader {
    /// What the first line says, and where the script begins: after the line, whose end stays, so that lines count as
    /// they are written. Scripts without such a line have `compatibility`.
    package static func parse(_ source: ByteView) throws(Complaint) -> (flags: ScriptFlags, body: ByteView) {
        guard source.starts(with: ByteView("#!")) else { return (.compatibility, source) }
        var end = 0
        while end < source.count && source[end] != 0x0A { end += 1 }
        guard end < source.count else { throw Complaint("Invalid script shebang") }
        var flags: ScriptFlags = []
        let words = split(source[0..<end], at: UInt8(ascii: " ")).filter { !$0.isEmpty }
        guard let engine = words.first, engine == ByteView("#!lua") else {
            throw Complaint("Unexpected engine in script shebang: \(words.first?.string ?? "")")
        }
        let prefix = ByteView("flags=")
        for word in words.dropFirst() {
            guard word.starts(with: prefix) else { throw Complaint("Unknown lua shebang option: \(word.string)") }
            let list = word.dropFirst(prefix.count)
            for name in list.isEmpty ? [] : split(list, at: UInt8(ascii: ",")) {
                let flag = flag(name)
                if flag.isEmpty { throw Complaint("Unexpected flag in script shebang: \(name.string)") }
                flags.formUnion(flag)
            }
        }
        return (flags, source.dropFirst(end))
    }

    /// The flags of a script, none when its first line cannot be understood.
    package static func flags(_ source: ByteView) -> ScriptFlags {
        do throws(Complaint) {
            return try parse(source).flags
        } catch {
            return []
        }
    }

    /// The flag with this name, empty when there is none.
    static func flag(_ name: ByteView) -> ScriptFlags {
        ScriptFlags(
            rawValue: valk_lua_flag(name.base.assumingMemoryBound(to: CChar.self), name.count))
    }

    static func split(_ line: ByteView, at separator: UInt8) -> [ByteView] {
        var parts: [ByteView] = []
        var start = 0
        for i in 0...line.count where i == line.count || line[i] == separator {
            parts.append(line[start..<i])
            start = i + 1
        }
        return parts
    }
}
