// What a library registers while it is being loaded.

import ValkBase

package final class LibraryDraft {
    package struct Function {
        package let name: [UInt8]
        package let description: [UInt8]?
        package let flags: ScriptFlags
        let reference: Int32
    }

    package private(set) var functions: [Function] = []

    /// Nil when the function was taken, otherwise why not.
    func add(
        _ name: [UInt8], description: [UInt8]?, _ flags: ScriptFlags, _ reference: Int32
    ) -> StaticString? {
        if functions.contains(where: { $0.name == name }) { return "Function already exists in the library" }
        functions.append(Function(name: name, description: description, flags: flags, reference: reference))
        return nil
    }
}
