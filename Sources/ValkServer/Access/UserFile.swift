// Files of users (`aclfile`): a line for each, "user NAME RULES", nothing else but empty lines. A file is taken whole
// or not at all; what is wrong with it is told for every line, in Redis's words.

import ValkBase

struct UserFile {
    /// As in the settings; that is how it is named in complaints.
    let path: String

    /// The users that the file names, or all that is wrong.
    func read(_ grammar: AccessGrammar) throws(AccessComplaint) -> [[UInt8]: AccessRights] {
        let bytes: [UInt8]
        switch TextFile.read(path) {
        case .success(let read): bytes = read
        case .failure(let failure):
            throw AccessComplaint("Error loading ACLs, opening file '\(path)': \(failure.reason)")
        }
        var users: [[UInt8]: AccessRights] = [:]
        var errors: [UInt8] = []
        for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            read(line, number: index + 1, grammar, &users, &errors)
        }
        if errors.isEmpty { return users }
        throw AccessComplaint(
            errors
                + Array("WARNING: ACL errors detected, no change to the previously active ACL rules was performed".utf8)
        )
    }

    private func read(
        _ line: ArraySlice<UInt8>, number: Int, _ grammar: AccessGrammar, _ users: inout [[UInt8]: AccessRights],
        _ errors: inout [UInt8]
    ) {
        let place = "\(path):\(number)"
        let line = trimmed(line)
        if line.isEmpty { return }
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false).map { Array($0) }
        guard words.count >= 2, words[0] == Array("user".utf8) else {
            errors += Array("\(place) should start with user keyword followed by the username. ".utf8)
            return
        }
        let name = words[1]
        if holdsSpaces(name) {
            errors += Array("'\(place): username '".utf8) + name + Array("' contains invalid characters. ".utf8)
            return
        }
        if users[name] != nil {
            errors +=
                Array("WARNING: Duplicate user '".utf8) + name + Array("' found on line \(number). ".utf8)
            return
        }
        var rights = AccessRights(grammar)
        guard case .success(let rules) = AccessRights.joined(Array(words.dropFirst(2))) else {
            errors += Array("\(place): Unmatched parenthesis in selector definition.".utf8)
            users[name] = rights
            return
        }
        var hasComplained = false
        for rule in rules.map({ Array(trimmed($0[...])) }) {
            do throws(AccessRuleError) {
                try rights.apply(rule, grammar)
            } catch {
                // A command's name is no secret; any other rule may be.
                if error == .unknownCommand {
                    errors +=
                        Array("\(place): Error in applying operation '".utf8) + rule
                        + Array("': \(error.text). ".utf8)
                } else if !hasComplained {
                    errors += Array("\(place): \(error.text). ".utf8)
                    hasComplained = true
                }
            }
        }
        users[name] = rights
    }

    private func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A }
        var bytes = bytes.drop(while: isBlank)
        while let last = bytes.last, isBlank(last) { bytes.removeLast() }
        return bytes
    }

    /// Replaces the file; the failure says why it could not be.
    func write(_ lines: [[UInt8]]) -> Result<Void, TextFileFailure> {
        TextFile.replace(path, with: Array(lines.map { $0 + [0x0A] }.joined()))
    }
}
