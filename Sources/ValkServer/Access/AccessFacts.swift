// What access control looks at of a command, made once for each command of the table, so that a check copies nothing.
//
// Most commands have their keys at fixed places: these are runs of positions. The others are left to
// `CommandKeyFinder`.

import ValkBase
import ValkCommands
import ValkRESP

final class AccessFacts: Sendable {
    /// Keys from `first` to `last` (negative: counted from the end), every `step`, and what is done with them.
    struct KeyRun: Sendable {
        let first: Int
        let last: Int
        let step: Int
        let needed: AccessSelector.KeyRights
        /// What is done with them depends on the arguments.
        let isVariable: Bool
    }

    /// The catalogue's.
    let id: Int
    /// The position of the first argument of its own: 2 for a subcommand.
    let firstArgument: Int
    /// Whoever is not logged in may run it, too.
    let isFree: Bool
    let channels: ChannelArguments?
    let readsAnyKey: Bool
    /// Nil when keys move.
    private let runs: [KeyRun]?
    private let use: CommandKeyFinder.Use?
    private let spec: CommandSpec

    init(_ spec: CommandSpec, id: Int, isSubcommand: Bool) {
        self.spec = spec
        self.id = id
        firstArgument = isSubcommand ? 2 : 1
        isFree = spec.flags.contains(.noAuth)
        channels = spec.channels
        readsAnyKey = spec.readsAnyKey
        use = CommandKeyFinder.Use(spec)
        var runs: [KeyRun] = []
        var areFixed = true
        for key in spec.keys where !key.flags.contains(.notKey) {
            guard case .index(let first) = key.begin, case .range(let last, let step, let limit) = key.find, limit <= 1,
                spec.declaredName != "migrate"
            else {
                areFixed = false
                break
            }
            runs.append(
                KeyRun(
                    first: first, last: last < 0 ? last : first + last, step: max(1, step),
                    needed: AccessSelector.KeyRights(needed: key.flags),
                    isVariable: key.flags.contains(.variableFlags)))
        }
        self.runs = areFixed ? runs : nil
    }

    /// The position of the first key that `allows` does not allow.
    func firstKey(
        in arguments: ArgumentList, notAllowedBy allows: (ByteView, AccessSelector.KeyRights) -> Bool
    ) -> Int? {
        guard let runs else { return firstMovingKey(in: arguments, notAllowedBy: allows) }
        for run in runs {
            let last = run.last < 0 ? arguments.count + run.last : run.last
            var needed = run.needed
            if run.isVariable, let use {
                let asked = use.use(arguments)
                needed = AccessSelector.KeyRights(rawValue: (asked.reads ? 1 : 0) | (asked.writes ? 2 : 0))
            }
            var at = run.first
            while at <= last && at < arguments.count {
                if !allows(arguments[at], needed) { return at }
                at += run.step
            }
        }
        return nil
    }

    private func firstMovingKey(
        in arguments: ArgumentList, notAllowedBy allows: (ByteView, AccessSelector.KeyRights) -> Bool
    ) -> Int? {
        var found: Int?
        CommandKeyFinder.forEach(spec, arguments) { position, flags in
            if found == nil && !allows(arguments[position], AccessSelector.KeyRights(needed: flags)) {
                found = position
            }
        }
        return found
    }
}
