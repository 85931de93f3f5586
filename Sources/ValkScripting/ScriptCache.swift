// The scripts that one thread has compiled, in an interpreter of its own that is made when the first script comes.
//
// A text that came before is recognised without being digested: the last few are remembered by a quick hash and
// compared byte by byte. SCRIPT FLUSH drops the interpreter with everything in it.

import Synchronization
import ValkBase
import ValkRESP

/// A script, ready to run on the thread that compiled it.
package final class CompiledScript {
    let reference: Int32
    package let flags: ScriptFlags
    package let source: [UInt8]
    package let digest: ScriptDigest
    /// 40 digits and a NUL.
    let name: UnsafeMutablePointer<CChar>
    /// It has used keys that it had not named: it needs everything from the start.
    package var usesOtherKeys = false

    init(_ reference: Int32, _ flags: ScriptFlags, _ source: [UInt8], _ digest: ScriptDigest) {
        self.reference = reference
        self.flags = flags
        self.source = source
        self.digest = digest
        name = .allocate(capacity: 41)
        name.initialize(repeating: 0, count: 41)
        for (i, digit) in digest.digits.enumerated() { name[i] = CChar(digit) }
    }

    deinit { name.deallocate() }
}

package final class ScriptCache {
    private static let recentCount = 64

    private let registry: ScriptRegistry
    private let version: String
    private let deprecated: Bool
    private unowned(unsafe) let caller: any ScriptCaller
    private var host: LuaHost?
    private var generation: UInt64 = 0
    private var scripts: [ScriptDigest: CompiledScript] = [:]
    /// By the low bits of the text's hash.
    private var recent: [CompiledScript?] = []

    package init(_ registry: ScriptRegistry, caller: any ScriptCaller, deprecated: Bool, version: String) {
        self.registry = registry
        self.caller = caller
        self.deprecated = deprecated
        self.version = version
    }

    /// Bytes that the interpreter holds; 0 while there is none.
    package var memoryBytes: Int { host?.memoryBytes ?? 0 }

    /// Forgets what a flush has made worthless; without work to do, collects garbage as well.
    package func rest(isIdle: Bool) {
        if registry.generation.load(ordering: .relaxed) != generation { keepUp() }
        if isIdle { host?.collect() }
    }

    /// The script with this text, which becomes known to everybody.
    package func script(_ source: ByteView) throws(Complaint) -> CompiledScript {
        keepUp()
        let slot = Int(truncatingIfNeeded: source.hash64) & (Self.recentCount - 1)
        if let known = recent[slot], known.source.withView({ $0 == source }) { return known }
        let digest = ScriptDigest(of: source)
        let script: CompiledScript
        if let known = scripts[digest] {
            script = known
        } else {
            let text = source.array
            script = try compile(text, digest)
            registry.add(digest, text)
        }
        recent[slot] = script
        return script
    }

    /// The script with this digest (40 digits); nil when nobody knows it.
    package func script(digits: ByteView) -> CompiledScript? {
        keepUp()
        guard let digest = ScriptDigest(digits: digits) else { return nil }
        if let known = scripts[digest] { return known }
        guard let source = registry.source(digest) else { return nil }
        do throws(Complaint) {
            return try compile(source, digest)
        } catch {
            // What is in the registry has been compiled before: only memory can be missing.
            return nil
        }
    }

    package func run(
        _ script: CompiledScript, keys: ArgumentList, arguments: ArgumentList, version: UInt8
    ) -> ScriptOutcome {
        guard let host else { preconditionFailure("a compiled script without an interpreter") }
        return host.run(script.reference, name: script.name, keys: keys, arguments: arguments, version: version)
    }

    private func keepUp() {
        let now = registry.generation.load(ordering: .acquiring)
        if now == generation { return }
        generation = now
        scripts = [:]
        recent = Array(repeating: nil, count: Self.recentCount)
        host = nil
    }

    private func compile(_ source: [UInt8], _ digest: ScriptDigest) throws(Complaint) -> CompiledScript {
        let host = try interpreter()
        let compiled = source.withView { view -> Result<CompiledScript, Complaint> in
            do throws(Complaint) {
                let header = try ScriptHeader.parse(view)
                switch host.compile(header.body) {
                case .success(let reference): return .success(CompiledScript(reference, header.flags, source, digest))
                case .failure(let complaint):
                    let prefix = Array("Error compiling script (new function): ".utf8)
                    return .failure(Complaint(bytes: prefix + complaint.bytes))
                }
            } catch {
                return .failure(error)
            }
        }
        let script = try compiled.get()
        scripts[digest] = script
        return script
    }

    private func interpreter() throws(Complaint) -> LuaHost {
        if let host { return host }
        guard let made = LuaHost(caller: caller, functions: false, deprecated: deprecated, version: version) else {
            throw Complaint("not enough memory for a Lua interpreter")
        }
        host = made
        return made
    }
}
