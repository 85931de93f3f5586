// All users, and who of them may do what now.
//
// A user is an object that connections hold; its rights are a value that is replaced as a whole under the lock. Every
// change, of whatever user, raises the version that the gate keeps beside its conditions. A connection remembers the
// version at which its user was found to be unrestricted: while that is the version, a command costs one comparison.
// Otherwise the connection takes its user's rights anew and, when they are not everything, asks them. So a change is
// in force everywhere once the version is up, before the command that made it is answered; no loop has to be told.
//
// Rights are replaced before the version is raised, and the version is read before the rights: whoever has seen the
// new version gets the new rights.
//
// A user who was deleted has no rights at all from then on; their connections are closed.

import Synchronization
import ValkBase
import ValkCommands
import ValkRESP

package final class AccessUser: Sendable {
    package let name: [UInt8]
    // SAFETY: read and written under the registry's lock only.
    fileprivate nonisolated(unsafe) var rights: AccessRights

    fileprivate init(_ name: [UInt8], _ rights: AccessRights) {
        self.name = name
        self.rights = rights
    }
}

package final class UserRegistry: Sendable {
    static let defaultName = Array("default".utf8)

    let catalog: AccessCatalog
    let log = AccessLog()
    package let defaultUser: AccessUser
    private let gate: ServerGate
    private let lock = Lock()
    // SAFETY: read and written under `lock` only.
    private nonisolated(unsafe) var users: [[UInt8]: AccessUser]
    /// `requirepass`, as `PasswordDigest` has it.
    private nonisolated(unsafe) var requiredPassword: [UInt8]?
    /// `acl-pubsub-default` is "allchannels".
    package let newUsersHaveChannels = Atomic<Bool>(false)
    /// The user "default" is on and takes any password: who connects is logged in.
    private let openToAll = Atomic<Bool>(true)
    private let defaultTakesAnyPassword = Atomic<Bool>(true)

    init(_ catalog: AccessCatalog, _ gate: ServerGate) {
        self.catalog = catalog
        self.gate = gate
        let grammar = AccessGrammar(catalog: catalog, allChannels: false)
        defaultUser = AccessUser(Self.defaultName, .everything(grammar))
        users = [Self.defaultName: defaultUser]
    }

    var grammar: AccessGrammar {
        AccessGrammar(catalog: catalog, allChannels: newUsersHaveChannels.load(ordering: .relaxed))
    }

    /// Nobody has to log in.
    var isOpen: Bool { openToAll.load(ordering: .relaxed) }
    /// The user "default" has no password.
    var isWithoutPassword: Bool { defaultTakesAnyPassword.load(ordering: .relaxed) }

    // MARK: Asking

    package func user(_ name: ByteView) -> AccessUser? { lock.withLock { users[name.array] } }

    /// All users by name, with their rights.
    func all() -> [(user: AccessUser, rights: AccessRights)] {
        lock.withLock {
            users.values.sorted { $0.name.lexicographicallyPrecedes($1.name) }.map { ($0, $0.rights) }
        }
    }

    func rights(of user: AccessUser) -> AccessRights { lock.withLock { user.rights } }

    /// The user whom a name and a password belong to, nil where they do not fit or the user is off.
    package func admit(_ name: ByteView, password: ByteView) -> AccessUser? {
        guard let user = user(name), rights(of: user).admits(password) else { return nil }
        return user
    }

    /// The lines that make these users: "user NAME RULES".
    func lines() -> [[UInt8]] {
        all().map { Array("user ".utf8) + $0.user.name + [0x20] + $0.rights.description(catalog) }
    }

    // MARK: Changing

    /// Applies rules to a user, who is made if need be: all of them or none. Returns the user and the rights from
    /// before, nil of a new one; throws what is wrong, for the client.
    func change(
        _ name: [UInt8], _ words: [[UInt8]]
    ) throws(AccessComplaint) -> (user: AccessUser, before: AccessRights?) {
        let rules: [[UInt8]]
        switch AccessRights.joined(words) {
        case .success(let joined): rules = joined
        case .failure(let failure):
            throw AccessComplaint(
                Array("Unmatched parenthesis in acl selector starting at '".utf8) + failure.word + Array("'.".utf8))
        }
        let grammar = grammar
        let outcome: Result<(AccessUser, AccessRights?), AccessComplaint> = lock.withLock {
            let old = users[name]
            var rights = old?.rights ?? AccessRights(grammar)
            for rule in rules {
                do throws(AccessRuleError) {
                    try rights.apply(rule, grammar)
                } catch {
                    let shown = rule.prefix { $0 != 0 }
                    let text = Array("Error in ACL SETUSER modifier '".utf8) + shown + Array("': \(error.text)".utf8)
                    return .failure(AccessComplaint(text))
                }
            }
            let before = old?.rights
            let user = old ?? AccessUser(name, rights)
            user.rights = rights
            users[name] = user
            publish()
            return .success((user, before))
        }
        switch outcome {
        case .success(let done): return (done.0, done.1)
        case .failure(let complaint): throw complaint
        }
    }

    /// Removes a user; nil when there is none of that name.
    func remove(_ name: [UInt8]) -> AccessUser? {
        let grammar = AccessGrammar(catalog: catalog, allChannels: false)
        return lock.withLock {
            guard let user = users.removeValue(forKey: name) else { return nil }
            user.rights = AccessRights(grammar)
            publish()
            return user
        }
    }

    /// Puts these users in the place of all there are and returns those who are gone; "default" stays who it is. Unless
    /// it is among them it may do everything, with the password of `requirepass` if there is one (Redis forgets that).
    func replaceAll(_ fresh: [[UInt8]: AccessRights]) -> [AccessUser] {
        let nothing = AccessRights(AccessGrammar(catalog: catalog, allChannels: false))
        let grammar = grammar
        return lock.withLock {
            let gone = users.values.filter { $0 !== defaultUser }
            for user in gone { user.rights = nothing }
            users = [Self.defaultName: defaultUser]
            defaultUser.rights = standardRights(grammar)
            for (name, rights) in fresh {
                if name == Self.defaultName {
                    defaultUser.rights = rights
                } else {
                    users[name] = AccessUser(name, rights)
                }
            }
            publish()
            return gone
        }
    }

    /// `requirepass`: the only password of "default"; empty for none.
    package func setDefaultPassword(_ password: [UInt8]) {
        lock.withLock {
            requiredPassword = password.isEmpty ? nil : password.withView(PasswordDigest.digits)
            defaultUser.rights.require(requiredPassword)
            publish()
        }
    }

    /// There is only "default", and it has what it has without any rules.
    var isStandard: Bool {
        let grammar = grammar
        let (standard, now) = lock.withLock {
            users.count == 1 ? (standardRights(grammar), defaultUser.rights) : (nil, defaultUser.rights)
        }
        return standard.map { $0.description(catalog) == now.description(catalog) } ?? false
    }

    /// With the lock held.
    private func standardRights(_ grammar: AccessGrammar) -> AccessRights {
        var rights = AccessRights.everything(grammar)
        rights.require(requiredPassword)
        return rights
    }

    /// With the lock held, after a change.
    private func publish() {
        let rights = defaultUser.rights
        openToAll.store(rights.isOn && rights.takesAnyPassword, ordering: .relaxed)
        defaultTakesAnyPassword.store(rights.takesAnyPassword, ordering: .relaxed)
        gate.raiseAccessVersion()
    }
}

/// What is wrong with a change of users, for people.
struct AccessComplaint: Error {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }
    init(_ text: String) { bytes = Array(text.utf8) }
}
