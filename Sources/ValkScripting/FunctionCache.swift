// The functions that one thread can call, in an interpreter of its own. It follows the server's set of libraries: what
// is new there is loaded here when a function is next called, what is gone is forgotten. What a library keeps in
// variables of its own lives as long as it, on each thread by itself.

import Synchronization
import ValkBase
import ValkRESP

/// A function, ready to be called on the thread that loaded it.
package final class CompiledFunction {
    let reference: Int32
    package let name: [UInt8]
    package let flags: ScriptFlags
    /// With a NUL at its end.
    let label: UnsafeMutablePointer<CChar>
    /// It has used keys that it had not named: it needs everything from the start.
    package var usesOtherKeys = false

    init(_ function: LibraryDraft.Function) {
        reference = function.reference
        name = function.name
        flags = function.flags
        label = .allocate(capacity: name.count + 1)
        label.initialize(repeating: 0, count: name.count + 1)
        for (i, c) in name.enumerated() { label[i] = CChar(bitPattern: c) }
    }

    deinit { label.deallocate() }
}

package final class FunctionCache {
    private struct Loaded {
        let library: Library
        let functions: [CompiledFunction]
    }

    private let registry: LibraryRegistry
    private let version: String
    private let deprecated: Bool
    private unowned(unsafe) let caller: any ScriptCaller
    private var host: LuaHost?
    private var number: UInt64 = 0
    private var loaded: [[UInt8]: Loaded] = [:]
    /// By lower-case name.
    private var functions: [[UInt8]: CompiledFunction] = [:]

    package init(_ registry: LibraryRegistry, caller: any ScriptCaller, deprecated: Bool, version: String) {
        self.registry = registry
        self.caller = caller
        self.deprecated = deprecated
        self.version = version
    }

    /// Bytes that the interpreter holds; 0 while there is none.
    package var memoryBytes: Int { host?.memoryBytes ?? 0 }

    /// Collects garbage.
    package func rest() { host?.collect() }

    /// The function with this name in any case; nil when there is none. `draft`: the set that the running transaction
    /// has made, in place of the server's.
    package func function(_ name: ByteView, draft: LibrarySet?) -> CompiledFunction? {
        if let draft {
            if draft.number != number { follow(draft) }
        } else if registry.number.load(ordering: .acquiring) != number {
            follow(registry.current)
        }
        return functions[name.array.lowered]
    }

    package func run(
        _ function: CompiledFunction, keys: ArgumentList, arguments: ArgumentList, version: UInt8
    ) -> ScriptOutcome {
        guard let host else { preconditionFailure("a function without an interpreter") }
        return host.run(function.reference, name: function.label, keys: keys, arguments: arguments, version: version)
    }

    /// What loading a library can come to.
    package enum Loading {
        case loaded(Library)
        case broken(Complaint)
        /// It has to be done again elsewhere.
        case undone
    }

    /// Loads a library to see what functions it has. It can be called here once it is in the set.
    package func load(_ text: [UInt8]) -> Loading {
        do throws(Complaint) {
            let header = try header(text)
            let draft = LibraryDraft()
            let host = try interpreter()
            switch run(text, header, draft, host) {
            case .success: break
            case .failure(let complaint):
                release(draft.functions.map(\.reference))
                guard let complaint else { return .undone }
                return .broken(complaint)
            }
            if draft.functions.isEmpty { return .broken(Complaint("No functions registered")) }
            let library = Library(
                name: header.name, text: text,
                functions: draft.functions.map {
                    Library.Function(name: $0.name, description: $0.description, flags: $0.flags)
                })
            adopt(library, draft)
            return .loaded(library)
        } catch {
            return .broken(error)
        }
    }

    // MARK: Following

    private func follow(_ set: LibrarySet) {
        for (name, here) in loaded where set.libraries[name] !== here.library { forget(name) }
        for (name, library) in set.libraries where loaded[name] == nil { reload(library) }
        functions.removeAll(keepingCapacity: true)
        for here in loaded.values { for function in here.functions { functions[function.name.lowered] = function } }
        number = set.number
    }

    /// Loads what has been loaded elsewhere. Should it not load here, its functions are not found.
    private func reload(_ library: Library) {
        do throws(Complaint) {
            let draft = LibraryDraft()
            let host = try interpreter()
            if case .success = run(library.text, try header(library.text), draft, host) { adopt(library, draft) }
        } catch {
            return
        }
    }

    /// The library replaces one with its name. The set is followed anew before the next call.
    private func adopt(_ library: Library, _ draft: LibraryDraft) {
        forget(library.name)
        loaded[library.name] = Loaded(library: library, functions: draft.functions.map { CompiledFunction($0) })
        number = 0
    }

    private func forget(_ name: [UInt8]) {
        guard let old = loaded.removeValue(forKey: name) else { return }
        release(old.functions.map(\.reference))
        number = 0
    }

    private func release(_ references: [Int32]) { for reference in references { host?.forget(reference) } }

    // MARK: Running texts

    private func header(_ text: [UInt8]) throws(Complaint) -> LibraryText {
        try text.withView { view in Result { () throws(Complaint) in try LibraryText(view) } }.get()
    }

    private func run(
        _ text: [UInt8], _ header: LibraryText, _ draft: LibraryDraft, _ host: LuaHost
    ) -> RunResult {
        host.enlisting = draft
        defer { host.enlisting = nil }
        return text.withView { host.load($0.dropFirst(header.codeStart)) }
    }

    private func interpreter() throws(Complaint) -> LuaHost {
        if let host { return host }
        guard let made = LuaHost(caller: caller, functions: true, deprecated: deprecated, version: version) else {
            throw Complaint("not enough memory for a Lua interpreter")
        }
        host = made
        return made
    }
}

/// Nil as a failure: it was undone.
enum RunResult {
    case success
    case failure(Complaint?)
}
